"""The routes of one entry, in the order of its rules.

A service with one token has few routes, tried in a row. Where there are several tokens, or several services
to choose from, a tree is asked: by the token first, which costs the same for any number of tokens, then by
what the client shows, and only for shares by route after route.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from envoy.config.core.v3.base_pb2 import HeaderValue, HeaderValueOption
from envoy.config.route.v3.route_components_pb2 import DirectResponseAction, Route, RouteMatch
from envoy.type.v3.percent_pb2 import FractionalPercent
from xds.type.matcher.v3.matcher_pb2 import Matcher

from services.gateway.routing.doors import Door, Form, counted_as
from services.gateway.routing.members import Choice, Share
from services.gateway.routing.rules import Entry
from services.gateway.xds import matching
from services.gateway.xds.auth import SIGNED, headers_of, looked_at_closer, shown
from services.gateway.xds.forwarding import Forwarding
from services.gateway.xds.grpc import preflight, readable_anywhere
from services.gateway.xds.waiting import waiting


@dataclass(frozen=True)
class EntryRoutes:
    """Makes the routes of an entry. `ways` says for each service how requests are handed to it."""

    entry: Entry
    ways: Mapping[str, Forwarding]
    retry_of_each: bool = False
    token: str = ""
    # Uses of a token are counted where there are several to tell apart.
    counts: bool = field(init=False)

    def __post_init__(self) -> None:
        tokens = {each for door in self.entry.doors for each in door.tokens}
        object.__setattr__(self, "counts", len(tokens) > 1)

    def chosen(self, door: Door, choice: Choice, *headers: Any) -> list[Route]:
        """The routes by which one choice is taken; two where the path in front is to be taken off."""
        entry, way = self.entry, self.ways[choice.service.name]
        if not entry.path or way.action is None or choice.service.keep_path:
            return [self._route(door, choice, _whole(entry), "", headers)]
        places = (RouteMatch(path=entry.path), RouteMatch(prefix=f"{entry.path}/"))
        return [self._route(door, choice, place, "/", headers) for place in places]

    def closed(self) -> list[Route]:
        """What is said to whom no door opens; a browser may ask before it shows a token to a gRPC service."""
        challenge = HeaderValue(key="www-authenticate", value='Bearer realm="easel"')
        refusal = Route(
            match=_whole(self.entry),
            direct_response=DirectResponseAction(status=self.entry.closed.answered),
            response_headers_to_add=[HeaderValueOption(header=challenge)],
        )
        if not any(choice.service.grpc for choice in self.entry.choices):
            return [refusal]
        refusal.response_headers_to_add.extend(readable_anywhere())
        return [preflight(_whole(self.entry)), refusal]

    def nobody(self, door: Door) -> Route:
        """What is said where no choice is left, to those who may know."""
        return Route(
            match=_whole(self.entry),
            direct_response=DirectResponseAction(status=self.entry.nobody.answered),
            typed_per_filter_config=looked_at_closer(door),
        )

    def _route(
        self, door: Door, choice: Choice, place: RouteMatch, rewrite: str, headers: Iterable[Any]
    ) -> Route:
        way = self.ways[choice.service.name]
        route = Route(match=RouteMatch(headers=headers))
        route.match.MergeFrom(place)
        if way.action is None:
            route.direct_response.CopyFrom(DirectResponseAction(status=self.entry.nobody.answered))
        else:
            route.route.CopyFrom(way.action)
            route.route.prefix_rewrite = rewrite
            if rewrite and choice.service.webservice:
                route.request_headers_to_add.append(_taken_off(self.entry))
            if self.retry_of_each:
                route.route.retry_policy.CopyFrom(way.retry)
        if isinstance(choice.when, Share):
            route.match.runtime_fraction.default_value.CopyFrom(
                FractionalPercent(numerator=choice.when.below, denominator=FractionalPercent.MILLION)
            )
        if choice.remember:
            route.response_headers_to_add.append(_remembering(choice))
        if self.counts and door.form is not Form.SIGNATURE:
            route.stat_prefix = counted_as(door.tokens[0])
        group = "" if self.entry.service else self.entry.group
        held = waiting(choice.service, group, self.token)
        for name, config in {**way.filters, **looked_at_closer(door), **held}.items():
            route.typed_per_filter_config[name].CopyFrom(config)
        for name, values in way.metadata.items():
            route.metadata.filter_metadata[name].update(values)
        return route


def wants_tree(entry: Entry) -> bool:
    """Whether a row of routes would be long: each token, and each choice, makes it so."""
    several_tokens = any(len(door.tokens) > 1 for door in entry.doors)
    return several_tokens or len(entry.choices) != 1 or entry.choices[0].when is not None


def in_a_row(routes: EntryRoutes) -> list[Route]:
    """The routes one after the other."""
    entry = routes.entry
    opened = [
        route
        for door in entry.doors
        for header in shown(door)
        for choice in entry.choices
        for route in routes.chosen(door, choice, header)
    ]
    return [*opened, *routes.closed()]


def tree(routes: EntryRoutes) -> Any:
    """The routes as a tree by what opens the entry."""
    doors = routes.entry.doors
    closed = matching.routes_of(routes.closed())
    sessions = [
        (matching.any_of(matching.holds("cookie", each) for each in door.cookies), _members(routes, door))
        for door in doors
        if door.form is Form.SESSION
    ]
    otherwise = matching.in_order(sessions, closed)
    for door in doors:
        if door.form is Form.SIGNATURE:
            signed = {SIGNED: _members(routes, door)}
            otherwise = matching.by_prefix("authorization", signed, otherwise)
    tokens = {value: _members(routes, door) for door in doors for value in headers_of(door)}
    if tokens:
        otherwise = matching.by_value("authorization", tokens, otherwise)
    return otherwise.matcher if otherwise.HasField("matcher") else _always(otherwise)


def _members(routes: EntryRoutes, door: Door) -> Any:
    """What a request is led to that came in by this door."""
    choices = routes.entry.choices
    cases = [
        (matching.meets(choice.when), matching.routes_of(routes.chosen(door, choice)))
        for choice in choices
        if choice.when is not None and not isinstance(choice.when, Share)
    ]
    drawn = [each for each in choices if each.when is None or isinstance(each.when, Share)]
    rest = [route for choice in drawn for route in routes.chosen(door, choice)]
    return matching.in_order(cases, matching.routes_of([*rest, *([] if drawn else [routes.nobody(door)])]))


def _always(then: Any) -> Any:
    return Matcher(on_no_match=then)


def _remembering(choice: Choice) -> Any:
    cookie = f"{choice.remember}={choice.service.name}; Path=/; HttpOnly; SameSite=Lax"
    return HeaderValueOption(header=HeaderValue(key="set-cookie", value=cookie))


def _taken_off(entry: Entry) -> Any:
    """Tells an app the path in front of its own, so that it can write links that work in a browser."""
    return HeaderValueOption(
        header=HeaderValue(key="x-forwarded-prefix", value=entry.path),
        append_action=HeaderValueOption.HeaderAppendAction.OVERWRITE_IF_EXISTS_OR_ADD,
    )


def _whole(entry: Entry) -> RouteMatch:
    return RouteMatch(path_separated_prefix=entry.path) if entry.path else RouteMatch(prefix="/")
