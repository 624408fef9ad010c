"""What may be mirrored to what, and what a deletion takes along. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from libs.db.changes import Changes, Record
from libs.domain.errors import FailedPrecondition, InvalidRequest, NotFound
from libs.domain.records import Event, Service
from libs.domain.states import EventKind
from libs.domain.traffic import Mirror
from services.scheduler.admin.writing import changeable
from services.scheduler.world import World

MOST_TARGETS = 8
# A comparison of fewer than one in ten thousand cannot be drawn.
LEAST_COMPARED = 0.0001
_PPM = 1_000_000


@dataclass(frozen=True)
class MirrorAsked:
    """A mirror as it was asked for."""

    service: str
    targets: tuple[str, ...]
    ratio: int
    compare: float


def put(world: World, asked: MirrorAsked, now: datetime) -> Changes:
    """Makes the mirror of a service, or replaces the one it has.

    Raises NotFound, InvalidRequest, and FailedPrecondition where the service is locked or being deleted.
    """
    changeable(world, asked.service, "its mirror cannot be changed")
    _refuse_odd(world, asked)
    ppm = round(asked.compare * _PPM)
    old = world.mirrors.get(asked.service)
    if old is not None and (old.targets, old.ratio, old.compare_ppm) == (asked.targets, asked.ratio, ppm):
        return Changes()
    mirror = Mirror(asked.service, asked.targets, asked.ratio, now, now, ppm)
    if old is not None:
        mirror = replace(mirror, created_at=old.created_at, revision=old.revision)
    return Changes((mirror,), (), (_told(asked.service, "MirrorSet", _sentence(mirror), now),))


def deleted(world: World, service: str, now: datetime) -> Changes:
    """Raises NotFound, and FailedPrecondition where the service is locked or being deleted."""
    changeable(world, service, "its mirror cannot be taken away")
    mirror = world.mirrors.get(service)
    if mirror is None:
        raise NotFound(f"service {service!r} has no mirror")
    why = f"no request is copied to {_listed(mirror.targets)} any more: a deletion was asked for"
    return Changes((), (mirror,), (_told(service, "MirrorDeleted", why, now),))


def with_mirrors(world: World, changes: Changes, now: datetime) -> Changes:
    """`changes`, and what they mean for mirrors where they delete services.

    The mirror of a service ends with it; where it was a target, copies go on to the others.
    """
    gone = {each.name for each in changes.delete if isinstance(each, Service)}
    if not gone:
        return changes
    put_: list[Record] = []
    delete: list[Record] = [world.mirrors[name] for name in sorted(gone) if name in world.mirrors]
    events: list[Event] = []
    touched = {mirror.service: mirror for name in gone for mirror in world.mirrors_to(name)}
    for service in sorted(touched.keys() - gone):
        mirror = touched[service]
        rest = tuple(target for target in mirror.targets if target not in gone)
        left = _listed(target for target in mirror.targets if target in gone)
        why = f"deleted: {left}; {_left(rest)}"
        events.append(_told(service, "MirrorTargetGone", why, now, EventKind.WARNING))
        if rest:
            put_.append(replace(mirror, targets=rest, updated_at=now))
        else:
            delete.append(mirror)
    return Changes((*changes.put, *put_), (*changes.delete, *delete), (*changes.events, *events))


def mirror_of(world: World, service: str) -> Mirror:
    """Raises NotFound."""
    world.service(service)
    mirror = world.mirrors.get(service)
    if mirror is None:
        raise NotFound(
            f"service {service!r} has no mirror: `easel mirror {service} --to TARGET --ratio N` makes one"
        )
    return mirror


def _refuse_odd(world: World, asked: MirrorAsked) -> None:
    targets = asked.targets
    if not 1 <= len(targets) <= MOST_TARGETS:
        raise InvalidRequest("targets", len(targets), f"1 to {MOST_TARGETS} services")
    if asked.service in targets:
        raise InvalidRequest("targets", asked.service, "services other than the one that is copied")
    for target in targets:
        if targets.count(target) > 1:
            raise InvalidRequest("targets", target, "each service once")
        if world.service(target).deleting:
            raise FailedPrecondition(f"service {target!r} is being deleted")
    if not 0 <= asked.ratio <= 100:
        raise InvalidRequest("ratio", asked.ratio, "a percentage from 0, which pauses the mirror, to 100")
    # Written so that what is no number is refused too.
    if not (asked.compare == 0 or LEAST_COMPARED <= asked.compare <= 1):
        raise InvalidRequest("compare", asked.compare, f"0 for none, or a share from {LEAST_COMPARED} to 1")


def _sentence(mirror: Mirror) -> str:
    if not mirror.ratio:
        return f"paused: no request is copied to {_listed(mirror.targets)}"
    copied = f"{mirror.ratio} % of the requests are copied to {_listed(mirror.targets)}"
    if not mirror.compare_ppm:
        return copied
    return f"{copied}, and answers are compared for {mirror.compare_ppm / 10_000:g} %"


def _left(rest: tuple[str, ...]) -> str:
    return f"copies go on to {_listed(rest)}" if rest else "it was the last one, so the mirror is gone too"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(repr(name) for name in names)


def _told(service: str, reason: str, why: str, now: datetime, kind: EventKind = EventKind.NORMAL) -> Event:
    return Event(now, kind, reason, why, "service", service, service)
