"""Match trees: how Envoy comes from a request to a list of routes without asking one route after another."""

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from envoy.config.route.v3.route_components_pb2 import Route, RouteList
from envoy.extensions.matching.input_matchers.consistent_hashing.v3.consistent_hashing_pb2 import (
    ConsistentHashing,
)
from envoy.type.matcher.v3.http_inputs_pb2 import HttpRequestHeaderMatchInput
from xds.core.v3.extension_pb2 import TypedExtensionConfig
from xds.type.matcher.v3.matcher_pb2 import Matcher
from xds.type.matcher.v3.regex_pb2 import RegexMatcher
from xds.type.matcher.v3.string_pb2 import StringMatcher

from services.gateway.routing.members import WHOLE, Hashed, Shows
from services.gateway.xds.wire import packed

# Envoy's messages come without types of their own.
OnMatch: TypeAlias = Any
Predicate: TypeAlias = Any


def routes_of(routes: Iterable[Route]) -> OnMatch:
    """The first of these routes that matches; one of them always must."""
    action = TypedExtensionConfig(name="routes", typed_config=packed(RouteList(routes=routes)))
    return Matcher.OnMatch(action=action)


def by_value(header: str, values: Mapping[str, OnMatch], otherwise: OnMatch) -> OnMatch:
    """Decides by the whole value of a header, at the same cost for any number of values."""
    return _tree(header, otherwise, exact_match_map=Matcher.MatcherTree.MatchMap(map=values))


def by_prefix(header: str, values: Mapping[str, OnMatch], otherwise: OnMatch) -> OnMatch:
    """Decides by how the value of a header begins."""
    return _tree(header, otherwise, prefix_match_map=Matcher.MatcherTree.MatchMap(map=values))


def in_order(cases: Iterable[tuple[Predicate, OnMatch]], otherwise: OnMatch) -> OnMatch:
    """The first case whose predicate holds."""
    matchers = [Matcher.MatcherList.FieldMatcher(predicate=when, on_match=then) for when, then in cases]
    if not matchers:
        return otherwise
    listed = Matcher(matcher_list=Matcher.MatcherList(matchers=matchers), on_no_match=otherwise)
    return Matcher.OnMatch(matcher=listed)


def meets(condition: Shows | Hashed) -> Predicate:
    """Whether a request meets a condition on what it shows."""
    if isinstance(condition, Hashed):
        hashing = ConsistentHashing(threshold=condition.start, modulo=WHOLE)
        custom = TypedExtensionConfig(name="hash", typed_config=packed(hashing))
        return _single(condition.header, custom_match=custom)
    if condition.cookie:
        return has_cookie(condition.cookie, condition.value)
    if condition.value:
        return _single(condition.header, value_match=StringMatcher(exact=condition.value))
    anything = RegexMatcher(google_re2=RegexMatcher.GoogleRE2(), regex=".*")
    return _single(condition.header, value_match=StringMatcher(safe_regex=anything))


def has_cookie(name: str, value: str) -> Predicate:
    """Whether one of the cookies has this name and value, or just this name, as a whole."""
    pair = f"{name}={value}"
    if value:
        forms = [{"exact": pair}, {"prefix": f"{pair};"}, {"suffix": f"; {pair}"}, {"contains": f"; {pair};"}]
    else:
        forms = [{"prefix": pair}, {"contains": f"; {pair}"}]
    return any_of(_single("cookie", value_match=StringMatcher(**form)) for form in forms)


def holds(header: str, part: str) -> Predicate:
    """Whether a header has this anywhere in its value."""
    return _single(header, value_match=StringMatcher(contains=part))


def any_of(predicates: Iterable[Predicate]) -> Predicate:
    """Whether one of them holds."""
    either = list(predicates)
    if len(either) == 1:
        return either[0]
    listed = Matcher.MatcherList.Predicate.PredicateList(predicate=either)
    return Matcher.MatcherList.Predicate(or_matcher=listed)


def _single(header: str, **match: Any) -> Predicate:
    single = Matcher.MatcherList.Predicate.SinglePredicate(input=_input(header), **match)
    return Matcher.MatcherList.Predicate(single_predicate=single)


def _tree(header: str, otherwise: OnMatch, **match: Any) -> OnMatch:
    tree = Matcher.MatcherTree(input=_input(header), **match)
    return Matcher.OnMatch(matcher=Matcher(matcher_tree=tree, on_no_match=otherwise))


def _input(header: str) -> Any:
    config = packed(HttpRequestHeaderMatchInput(header_name=header))
    return TypedExtensionConfig(name=header, typed_config=config)
