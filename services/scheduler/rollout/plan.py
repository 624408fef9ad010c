"""What one service needs next: instances to make, instances to take out, the update's record. Pure."""

from dataclasses import dataclass, replace

from libs.domain.records import Instance, Rollout
from services.scheduler.rollout.failing import goes_back, held_up
from services.scheduler.rollout.groups import Groups, Removal, grouped, serving
from services.scheduler.rollout.obsolete import (
    last_call,
    moves_by_choice,
    must_leave,
    of_another_version,
    outdated,
)
from services.scheduler.rollout.replacing import Leaving, leaving, surplus_order
from services.scheduler.rollout.situation import Situation
from services.scheduler.rollout.staging import Shares, advanced, at_no_instances, completed, shares


@dataclass(frozen=True)
class Creation:
    """One instance to make, and the sentence why."""

    version: int
    why: str


@dataclass(frozen=True)
class ServicePlan:
    """`rollout` is the record as it stands after; `back_to` a version to go back to instead, 0 for none:
    then `why` is what failed.
    """

    create: tuple[Creation, ...] = ()
    remove: tuple[Removal, ...] = ()
    rollout: Rollout | None = None
    stable_version: int = 0
    back_to: int = 0
    why: str = ""


def plan_service(situation: Situation) -> ServicePlan:
    """Safe to repeat: it compares what is wanted with what is, whatever happened before."""
    groups, service = grouped(situation), situation.service
    as_before = ServicePlan(rollout=situation.rollout, stable_version=service.stable_version)
    if not situation.wanted:
        rollout = at_no_instances(situation) or situation.rollout
        return replace(as_before, remove=_everything(situation, groups), rollout=rollout)
    hold = held_up(situation, groups)
    if back := goes_back(situation, groups, hold):
        because = f"version {service.version} failed: {hold}"
        return replace(as_before, back_to=back, why=because)
    update = advanced(situation, groups, hold)
    share = shares(situation, groups, update, hold)
    case = _case(situation, groups, share, hold)
    left = leaving(case)
    create = _creations(situation, groups, share, case, left, hold)
    if _complete(situation, groups, share):
        as_before = _completed(situation, update)
    elif update is not None:
        as_before = replace(as_before, rollout=update)
    apart = [Removal(i, why) for i in groups.apart if (why := must_leave(i, situation))]
    return replace(as_before, create=create, remove=(*left, *apart), why=hold or _why(create, left))


def _everything(situation: Situation, groups: Groups) -> tuple[Removal, ...]:
    service = situation.service
    if service.deleting:
        why = "the service is being deleted"
    else:
        why = "the service is stopped" if service.stopped else "no instances are wanted"
    asleep = situation.sleeps and not (service.stopped or service.deleting)
    if asleep:
        why = "the service falls asleep"
    stays = [i for i in groups.apart if i.detached and not service.deleting and not must_leave(i, situation)]
    staying = {i.id for i in stays}
    going = (i for i in (*groups.apart, *groups.counted) if i.id not in staying)
    return tuple(Removal(i, why, patient=asleep) for i in going)


def _case(situation: Situation, groups: Groups, share: Shares, hold: str) -> Leaving:
    """Who stays, who is too many, who is to be replaced."""
    service = situation.service
    new = [*groups.held, *groups.fresh]
    order = surplus_order(new, situation.rank_of, service.leave_first)
    extra = order[: max(0, len(new) - share.new)]
    kept = {i.id for i in _kept(groups, share)}
    replaced = [
        Removal(i, of_another_version(i, service))
        for i in groups.old
        if i.id not in kept and (share.replace_old or (hold and not i.serves))
    ]
    goes = {i.id for i in extra} | {removal.instance.id for removal in replaced}
    held = [i for i in groups.held if i.id not in goes]
    return Leaving(
        staying=[i for i in (*groups.fresh, *groups.old) if i.id not in goes],
        surplus=[Removal(i, _too_many(situation, share), patient=not share.old) for i in extra],
        stale=[*groups.moving, *replaced],
        target=max(0, situation.wanted - len(held)),
        unavailable=situation.unavailable,
        surge=situation.surge,
        held_up=bool(hold),
        makes_room=situation.makes_room,
        last_call=lambda instance: last_call(instance, situation),
        by_choice=lambda instance: moves_by_choice(instance) and not outdated(instance, service),
    )


def _kept(groups: Groups, share: Shares) -> list[Instance]:
    """Those that stay at the version before for now: what serves, and what is of that version."""
    able = [i for i in groups.old if i.serves or i.version == share.old_version]
    able.sort(key=lambda i: (not i.serves, i.version != share.old_version))
    return able[: share.old]


def _creations(
    situation: Situation, groups: Groups, share: Shares, case: Leaving, left: list[Removal], hold: str
) -> tuple[Creation, ...]:
    """Never more live ones than wanted and surge; what is proven before what is new."""
    wanted, version = situation.wanted, situation.service.version
    live = len(groups.counted) - len(left)
    missing = max(0, wanted - live)
    room = max(0, wanted + situation.surge - live)
    old = min(room, max(0, share.old - len(_kept(groups, share))))
    # What is held up gets no more than what is missing.
    allowed = min(room - old, missing) if hold else room - old
    lacking = max(0, share.new - len(groups.fresh) - len(groups.held))
    new = min(allowed, lacking) if share.create_new else 0
    why = case.stale[0].why if case.stale else _wanted_now(wanted)
    back = f"version {share.old_version} keeps its share of the instances"
    return (*[Creation(share.old_version, back)] * old, *[Creation(version, why)] * new)


def _complete(situation: Situation, groups: Groups, share: Shares) -> bool:
    """Whether every instance that counts is of the version in force, and all that may serve do."""
    version = situation.service.version
    if share.old or any(i.version != version for i in groups.counted):
        return False
    return serving(groups.counted) + len(groups.held) >= situation.wanted > len(groups.held)


def _completed(situation: Situation, update: Rollout | None) -> ServicePlan:
    version = situation.service.version
    if update is None:
        return ServicePlan(rollout=situation.rollout, stable_version=version)
    why = f"every instance runs version {version}"
    if update.because:
        why = f"{why} again, because {update.because}"
    done = completed(update, why, situation.now)
    return ServicePlan(rollout=done, stable_version=version)


def _too_many(situation: Situation, share: Shares) -> str:
    if share.old:
        return f"version {share.old_version} keeps its share of the instances"
    return _wanted_now(situation.wanted)


def _why(create: tuple[Creation, ...], left: list[Removal]) -> str:
    return next((why for why in (*(c.why for c in create), *(r.why for r in left))), "")


def _wanted_now(count: int) -> str:
    return "1 instance is wanted" if count == 1 else f"{count} instances are wanted"
