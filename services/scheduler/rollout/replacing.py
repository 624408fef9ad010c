"""Who may leave now, of those that are to be replaced or are too many. Pure.

Nothing that serves leaves unless enough others serve without it.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from libs.domain.records import Instance
from libs.domain.states import TROUBLED_STATES, InstanceState
from services.scheduler.rollout.groups import Removal, serving

_USELESS = TROUBLED_STATES | {InstanceState.PENDING}


@dataclass(frozen=True)
class Leaving:
    """`staying` are counted and to stay, `surplus` are too many, `stale` are to be replaced."""

    staying: Sequence[Instance]
    surplus: Sequence[Removal]
    stale: Sequence[Removal]
    # How many are to serve in the end, and how many of those may be missing meanwhile.
    target: int
    unavailable: int
    surge: int
    # Whether something fails: then nothing is given up for what may never come.
    held_up: bool = False
    makes_room: Callable[[Instance], bool] = lambda _: True
    # Those that can wait for nobody.
    last_call: Callable[[Instance], bool] = lambda _: False
    # Those that go to a better place: nothing is given up for that.
    by_choice: Callable[[Instance], bool] = lambda _: False


def leaving(case: Leaving) -> list[Removal]:
    """Those that may leave at once. Start-before-stop: what serves leaves only when enough others do."""
    if called := [r for r in case.stale if case.last_call(r.instance)]:
        ids = {r.instance.id for r in called}
        rest = [r for r in case.stale if r.instance.id not in ids]
        return [*called, *leaving(replace(case, stale=rest))]
    idle = [r for r in case.surplus if not r.instance.serves]
    useless = [r for r in case.stale if _never_comes(r.instance)]
    left = [*idle, *useless]
    left += _unhealthy(case, len(left))
    return [*left, *_served_by_others(case)]


def surplus_order(
    instances: Iterable[Instance],
    rank_of: Callable[[Instance], int] = lambda _: 0,
    leave_first: Sequence[str] = (),
) -> list[Instance]:
    """Who goes first when there are too many: what does not serve, then what is on the lowest tier, then who
    is named to leave first, in that order, then the youngest; isolated ones late.

    `rank_of` is an instance's tier, higher for a lower one.

    Of those that serve the oldest goes last of all, so that what is kept for inspection outlives no service.
    """
    named = {instance: place for place, instance in enumerate(leave_first)}

    def place(i: Instance) -> tuple[bool, bool, int, int, float, str]:
        asked = named.get(i.id, len(named))
        return i.isolated, i.serves, -rank_of(i), asked, -i.created_at.timestamp(), i.id

    ranked = sorted(instances, key=place)
    oldest = next((place for place in reversed(range(len(ranked))) if ranked[place].serves), None)
    return ranked if oldest is None else [*ranked[:oldest], *ranked[oldest + 1 :], ranked[oldest]]


def _never_comes(instance: Instance) -> bool:
    """It never served, or has stopped trying for now: it only holds room that its successor needs."""
    return not instance.serves and (instance.ready_at is None or instance.state in _USELESS)


def _unhealthy(case: Leaving, left: int) -> list[Removal]:
    """Of those that served once and may come back, only what enough others stand in for.

    One that is coming back is worth more than a successor that has not served yet.
    """
    waiting = [r for r in case.stale if not r.instance.serves and not _never_comes(r.instance)]
    live = len(case.staying) + len(case.surplus) + len(case.stale) - left
    idle = len(case.staying) - serving(case.staying)
    spare = live - (case.target - case.unavailable) - idle
    return waiting[: max(0, spare)]


def _served_by_others(case: Leaving) -> list[Removal]:
    candidates = [r for r in (*case.surplus, *case.stale) if r.instance.serves]
    spare = serving(case.staying) + len(candidates) - case.target
    left = candidates[: max(0, spare)]
    rest = candidates[len(left) :]
    return [*left, *_without_a_successor(case, rest, spare - len(left) + case.unavailable)]


def _without_a_successor(case: Leaving, rest: Sequence[Removal], spare: int) -> list[Removal]:
    """`unavailable` is spent only where start-before-stop cannot go on: no surge, or no room for both."""
    if case.held_up or spare <= 0:
        return []
    rest = [r for r in rest if not case.by_choice(r.instance)]
    if case.surge == 0:
        return list(rest[:spare])
    if not any(i.state is InstanceState.PENDING and i.why for i in case.staying):
        return []
    return list(islice((r for r in rest if case.makes_room(r.instance)), spare))
