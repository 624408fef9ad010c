"""What a ramp's verdict changes. Pure decisions for the ledger."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from libs.db.changes import Changes, Record
from libs.domain.errors import FailedPrecondition
from libs.domain.records import Event
from libs.domain.states import EventKind, RampPhase, TrafficMode, TrafficState
from libs.domain.traffic import Ramp
from services.scheduler.groups.picture import weights_of
from services.scheduler.groups.shares import fixed_weights
from services.scheduler.ramp.decide import Move, Verdict
from services.scheduler.world import World


def moved(world: World, ramp: Ramp, verdict: Verdict, now: datetime) -> Changes:
    """Nothing when the ramp is another one by now, or is over."""
    if world.ramps.get(ramp.service) != ramp or ramp.phase is not RampPhase.RUNNING:
        return Changes()
    match verdict.move:
        case Move.STEP:
            return _stepped(ramp, verdict.why, now)
        case Move.COMPLETE:
            why = f"{_reached(world, ramp)}: {verdict.why}"
            return _over(world, ramp, RampPhase.COMPLETED, why, now)
        case Move.BACK:
            return _over(world, ramp, RampPhase.WENT_BACK, verdict.why, now)
    return Changes()


def ended(world: World, name: str, back: bool, now: datetime) -> Changes:
    """A user ends it, where it is or where it was. Raises NotFound, FailedPrecondition."""
    world.service(name)
    ramp = world.ramps.get(name)
    if ramp is None or ramp.phase is not RampPhase.RUNNING:
        raise FailedPrecondition(f"service {name!r} is on no ramp")
    how = "and took it back to where it was" if back else f"and left it at {ramp.steps[ramp.step]} %"
    return _over(world, ramp, RampPhase.ENDED, f"somebody ended it {how}", now, back)


def others_of(world: World, ramp: Ramp) -> frozenset[str]:
    """The other members that take requests of the group and are to stay."""
    return frozenset(
        member.name
        for member in world.members_of(ramp.group)
        if member.traffic_state is TrafficState.GROUPING
        and member.name != ramp.service
        and not member.deleting
    )


def _stepped(ramp: Ramp, why: str, now: datetime) -> Changes:
    before, after = ramp.steps[ramp.step], ramp.steps[ramp.step + 1]
    told = f"from {before} % to {after} %: {why}"
    stepped = replace(ramp, step=ramp.step + 1, stepped_at=now, why=told)
    return Changes(put=(stepped,), events=(_event(ramp, "RampStepped", told, now),))


def _over(
    world: World, ramp: Ramp, phase: RampPhase, why: str, now: datetime, back: bool | None = None
) -> Changes:
    goes_back = phase is RampPhase.WENT_BACK if back is None else back
    over = replace(ramp, phase=phase, why=why, finished_at=now)
    records = (_restored if goes_back else _kept)(world, ramp, now)
    kind = EventKind.WARNING if phase is RampPhase.WENT_BACK else EventKind.NORMAL
    return Changes((over, *records), (), (_event(ramp, f"Ramp{phase.value}", why, now, kind),))


def _restored(world: World, ramp: Ramp, now: datetime) -> Iterator[Record]:
    """The member as it was; nobody else was changed. One that is elsewhere by now stays as it is."""
    service = world.services.get(ramp.service)
    if service is not None and service.group == ramp.group:
        yield replace(service, traffic_state=ramp.before_state, weight=ramp.before_weight, updated_at=now)


def _kept(world: World, ramp: Ramp, now: datetime) -> Iterator[Record]:
    """The share that the ramp has reached, as weights of the members."""
    group = world.groups.get(ramp.group)
    if group is None:
        return
    others = weights_of(world, group, None)
    others.pop(ramp.service, None)
    weights = fixed_weights(ramp.service, ramp.steps[ramp.step], others)
    for name, weight in weights.items():
        service = world.service(name)
        if service.group == group.name and service.weight != weight:
            yield replace(service, weight=weight, updated_at=now)
    if group.traffic_mode is not TrafficMode.CUSTOMIZED:
        yield replace(group, traffic_mode=TrafficMode.CUSTOMIZED, updated_at=now)


def _reached(world: World, ramp: Ramp) -> str:
    percent = ramp.steps[ramp.step] if others_of(world, ramp) else 100
    return "it has all requests of its group" if percent == 100 else f"it stays at {percent} %"


def _event(ramp: Ramp, reason: str, why: str, now: datetime, kind: EventKind = EventKind.NORMAL) -> Event:
    return Event(now, kind, reason, why, "service", ramp.service, ramp.service)
