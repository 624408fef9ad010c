"""Which member of a group takes a request: rules first, then what a client showed before, then weights."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate

from services.gateway.routes import Group, Service

# Shares are counted in these, so that the smallest is a millionth.
WHOLE = 1_000_000


@dataclass(frozen=True)
class Shows:
    """The request has this header, or this cookie. An empty value stands for any."""

    header: str = ""
    cookie: str = ""
    value: str = ""


@dataclass(frozen=True)
class Hashed:
    """The request has this header, and the hash of its value is `start` of a million or above."""

    header: str
    start: int


@dataclass(frozen=True)
class Share:
    """The number drawn for the request is below this of a million. All conditions ask about one number."""

    below: int


@dataclass(frozen=True)
class Choice:
    """A service that takes requests: all of them, or those that meet a condition.

    With `remember`, a cookie of that name keeps the choice for the client.
    """

    service: Service
    when: Shows | Hashed | Share | None = None
    remember: str = ""


def choices(group: Group, services: Mapping[str, Service]) -> tuple[Choice, ...]:
    """The members that are ready, in the order in which they are asked; others get nothing while one is.

    Where none is, those for which requests wait.
    """
    # Only those that the group names are looked at: there may be very many others.
    known = [services[name] for name in group.leads_to if name in services]
    ready = {each.name: each for each in known if each.is_ready}
    ready = ready or {each.name: each for each in known if each.holds}
    weighted = {
        each.service: each.weight for each in group.members if each.weight > 0 and each.service in ready
    }
    by_rule = [
        Choice(ready[each.service], Shows(each.header, each.cookie, each.value))
        for each in group.rules
        if each.service in ready
    ]
    by_cookie = [
        Choice(ready[name], Shows(cookie=group.sticky_cookie, value=name))
        for name in weighted
        if group.sticky_cookie
    ]
    by_header = [
        Choice(ready[name], Hashed(group.sticky_header, start))
        for name, start in reversed(list(_starts(weighted)))
        if group.sticky_header
    ]
    by_weight = [Choice(ready[name], when, group.sticky_cookie) for name, when in _shares(weighted)]
    return (*by_rule, *by_cookie, *by_header, *by_weight)


def _bounds(weights: Mapping[str, int]) -> list[int]:
    total = sum(weights.values())
    return [WHOLE * reached // total for reached in accumulate(weights.values())]


def _shares(weights: Mapping[str, int]) -> Iterator[tuple[str, Share | None]]:
    """Each bound is the sum of the shares so far; who comes last takes what is left."""
    for name, below in zip(weights, _bounds(weights), strict=True):
        yield name, Share(below) if below < WHOLE else None


def _starts(weights: Mapping[str, int]) -> Iterator[tuple[str, int]]:
    return zip(weights, [0, *_bounds(weights)], strict=False)
