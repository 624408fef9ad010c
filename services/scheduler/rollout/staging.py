"""How many instances may be at the new version by now, and how many stay at the one before. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from libs.domain.records import Instance, Rollout
from libs.domain.states import RolloutPhase
from libs.spec.quantity import parse_count_or_percent
from services.scheduler.rollout.failing import in_trouble, not_ready
from services.scheduler.rollout.groups import Groups, serving
from services.scheduler.rollout.situation import Situation

PAUSED_BY_HAND = "paused by hand"


@dataclass(frozen=True)
class Shares:
    """How many instances there are to be at the version in force, and how many at `old_version`.

    `create_new` and `replace_old` say whether the change of version goes on: whether successors are made,
    and whether what serves at an older version may leave for them.
    """

    new: int
    old: int = 0
    old_version: int = 0
    create_new: bool = True
    replace_old: bool = True


def advanced(situation: Situation, groups: Groups, hold: str) -> Rollout | None:
    """The record of the update under way as it stands now; None where there is none."""
    update = situation.update
    if update is None:
        return None
    present = [*groups.fresh, *groups.held]
    update = replace(update, released=max(update.released, len(present)))
    if hold:
        return replace(update, phase=RolloutPhase.FAILED, why=hold)
    if update.paused:
        return replace(update, phase=RolloutPhase.PAUSED, why=PAUSED_BY_HAND)
    if update.batch_size and not update.promoted:
        return _batched(update, groups, situation.wanted, situation.now)
    if update.partition and not update.promoted:
        return _partitioned(update, situation, groups)
    return replace(update, phase=RolloutPhase.RUNNING, why=_going_on(update, groups))


def at_no_instances(situation: Situation) -> Rollout | None:
    """The record of the update under way of a service that is scaled to 0: there is nothing to replace.

    One that failed, is paused, or keeps a share at the version before stays what it is for the instances to
    come; so does that of a service that is stopped.
    """
    update, service = situation.update, situation.service
    if update is None or service.stopped or service.deleting or update.phase is RolloutPhase.FAILED:
        return None
    if update.paused:
        return replace(update, phase=RolloutPhase.PAUSED, why=PAUSED_BY_HAND)
    if kept(update, 1) and not update.promoted:
        return replace(update, phase=RolloutPhase.PAUSED, why=_partition_stays(update))
    why = f"there is no instance to replace; the next ones run version {update.version}"
    return completed(update, why, situation.now)


def completed(update: Rollout, why: str, now: datetime) -> Rollout:
    return replace(update, phase=RolloutPhase.COMPLETED, why=why, finished_at=now)


def shares(situation: Situation, groups: Groups, update: Rollout | None, hold: str) -> Shares:
    """What there is to be of each version, by the record as `advanced` left it."""
    wanted = situation.wanted
    changing = update is not None or bool(groups.old)
    if hold and changing and (before := _last_good(situation, groups.old)):
        return _held_shares(situation, groups, before)
    if update is None or not _in_stages(update):
        return Shares(wanted, replace_old=not hold)
    new = min(update.released, wanted)
    if update.partition and not update.promoted:
        allowed = wanted - kept(update, wanted)
        new = min(new, allowed) if update.paused else allowed
    return Shares(new, wanted - new, update.from_version, replace_old=not update.paused and not hold)


def kept(update: Rollout, wanted: int) -> int:
    """How many instances a partition keeps at the version before."""
    return min(wanted, parse_count_or_percent(update.partition).of(wanted)) if update.partition else 0


def standing(update: Rollout) -> str:
    """What holds an update up, after its state; empty while it goes on."""
    match update.phase:
        case RolloutPhase.FAILED:
            return f"failed: {update.why}"
        case RolloutPhase.PAUSED:
            return update.why if update.paused else f"paused: {update.why}"
        case _:
            return ""


def due_at(update: Rollout) -> datetime | None:
    """When the next batch may begin; None while that is not a matter of time."""
    if update.finished_at or update.paused or update.stepped_at is None or update.interval_s is None:
        return None
    return update.stepped_at + timedelta(seconds=update.interval_s)


def _in_stages(update: Rollout) -> bool:
    return update.paused or (bool(update.partition or update.batch_size) and not update.promoted)


def _held_shares(situation: Situation, groups: Groups, before: int) -> Shares:
    """What works at the new version stays; what is missing beside it is made of the last good version."""
    healthy = sum(not in_trouble(i, situation) for i in groups.fresh) + len(groups.held)
    old = max(0, situation.wanted - healthy)
    present = len(groups.fresh) + len(groups.held)
    return Shares(min(present, situation.wanted), old, before, create_new=False, replace_old=False)


def _last_good(situation: Situation, old: Sequence[Instance]) -> int:
    """0 when there is none other than the one in force: what never worked is not made again."""
    stable = situation.service.stable_version
    if stable:
        return stable if stable != situation.service.version else 0
    return max((i.version for i in old if i.ready_at is not None), default=0)


def _batched(update: Rollout, groups: Groups, wanted: int, now: datetime) -> Rollout:
    """Lets the next batch go when the one before is ready and its pause is over."""
    ready = serving(groups.fresh) + len(groups.held)
    released = min(update.released, wanted)
    due = update.phase is RolloutPhase.PENDING or not released
    if not due and released < wanted and ready >= released:
        update = replace(update, stepped_at=update.stepped_at or now)
        at = due_at(update)
        due = at is not None and at <= now
    if due:
        size = max(1, parse_count_or_percent(update.batch_size).of(wanted))
        update = replace(update, released=min(wanted, released + size), stepped_at=None)
    if update.stepped_at is None:
        return replace(update, phase=RolloutPhase.RUNNING, why=_going_on(update, groups))
    if update.interval_s is None:
        return replace(
            update, phase=RolloutPhase.PAUSED, why="a batch is done; the next one waits for a resume"
        )
    why = f"a batch is done; the next one begins {update.interval_s} s later"
    return replace(update, phase=RolloutPhase.RUNNING, why=why)


def _partitioned(update: Rollout, situation: Situation, groups: Groups) -> Rollout:
    stay = kept(update, situation.wanted)
    elsewhere = sum(r.instance.version != update.version for r in groups.moving) + len(groups.old)
    ready = serving(groups.fresh) + len(groups.held)
    if stay and ready == situation.wanted - stay and elsewhere <= stay:
        return replace(update, phase=RolloutPhase.PAUSED, why=_partition_stays(update))
    return replace(update, phase=RolloutPhase.RUNNING, why=_going_on(update, groups))


def _partition_stays(update: Rollout) -> str:
    return f"{update.partition} of the instances stay at version {update.from_version} until it is promoted"


def _going_on(update: Rollout, groups: Groups) -> str:
    sentence = f"version {update.version} replaces version {update.from_version}"
    waited_for = not_ready(groups.fresh)
    return f"{sentence}; {waited_for}" if waited_for else sentence
