"""How the record of a rollout begins, and what a user may do with it on the way. Pure."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from libs.domain.errors import FailedPrecondition, InvalidRequest
from libs.domain.records import Rollout, Service
from libs.domain.states import RolloutPhase
from libs.spec import parse_stored
from libs.spec.quantity import CountOrPercent, parse_count_or_percent

FEATURE = "eas.aliyun.com/enable-rollout"
DEFAULT_BATCH = "25%"
DEFAULT_INTERVAL_S = 60

_SHARE = 'a number of instances or a percentage, such as "2" or "30%"'


class Action(StrEnum):
    """What a user may do with an update that is under way."""

    PAUSE = "pause"
    RESUME = "resume"
    PROMOTE = "promote"


@dataclass(frozen=True)
class PlanAsked:
    """The stages that a user asks for; none of them is an update within surge and unavailable alone.

    `partition` instances stay at the version before until the update is promoted. EAS describes a partition
    in two ways, as the instances that are updated and as those that stay; this is how its call to change an
    update means it. `interval_s` None waits for a user after each batch. Raises InvalidRequest.
    """

    partition: str = ""
    batch_size: str = ""
    interval_s: int | None = None
    paused: bool = False

    def __post_init__(self) -> None:
        partition, batch = (_share(f, getattr(self, f)) for f in ("partition", "batch_size"))
        if partition and (self.batch_size or self.interval_s is not None):
            raise InvalidRequest("plan.partition", self.partition, "either a partition or batches, not both")
        if batch and not batch.number:
            raise InvalidRequest("plan.batch_size", self.batch_size, "at least one instance")
        if self.interval_s is not None and self.interval_s < 0:
            raise InvalidRequest("plan.interval", self.interval_s, "0 or more seconds")


def begin_rollout(
    service: str,
    version: int,
    from_version: int,
    spec_json: str,
    plan: PlanAsked | None,
    now: datetime,
    replaced: Rollout | None = None,
    because: str = "",
) -> Rollout:
    """The record of an update of `service`, written over that of the one before (`replaced`).

    `because` is the failure that it goes back from by itself. No plan takes what the new version's
    service.json says; an empty one has no stages.
    """
    revision = replaced.revision if replaced else 0
    begun = Rollout(service, version, from_version, started_at=now, because=because, revision=revision)
    return _staged(begun, _default(spec_json) if plan is None else plan)


def version_before(service: Service, rollout: Rollout | None, version: int) -> int:
    """What an update to `version` that is made now comes from.

    The version in force; while an update is under way, the last one that all instances ran.
    """
    under_way = rollout is not None and rollout.finished_at is None
    stable = service.stable_version
    return stable if under_way and stable and stable != version else service.version


def controlled(rollout: Rollout, action: Action, now: datetime) -> Rollout:
    """The record after a user's word. `now` is when it was said.

    Raises FailedPrecondition once it is finished, and for a resume of what is not paused.
    """
    _not_finished(rollout)
    match action:
        case Action.PAUSE:
            return replace(rollout, paused=True)
        case Action.PROMOTE:
            return replace(rollout, promoted=True, paused=False)
        case Action.RESUME:
            return _resumed(rollout)


def replanned(rollout: Rollout, plan: PlanAsked, now: datetime) -> Rollout:
    """The record with other stages from now on. Raises FailedPrecondition.

    What was updated stays so, but for what a larger partition takes back to the version before. Batches take
    it for one that is done: the next begins after its pause, or when it is asked for.
    """
    _not_finished(rollout)
    again = replace(rollout, promoted=False, phase=RolloutPhase.RUNNING, released=0, stepped_at=None)
    return _staged(again, plan)


def is_back(rollout: Rollout) -> bool:
    """Whether it goes back to an older version."""
    return rollout.version < rollout.from_version


def _resumed(rollout: Rollout) -> Rollout:
    by_hand = bool(rollout.batch_size) and rollout.interval_s is None and rollout.stepped_at is not None
    if by_hand:
        # Pending is what tells the planner to let the next batch go.
        return replace(rollout, paused=False, stepped_at=None, phase=RolloutPhase.PENDING)
    if rollout.paused:
        return replace(rollout, paused=False)
    if rollout.partition and rollout.phase is RolloutPhase.PAUSED:
        raise FailedPrecondition(
            f"the update of {rollout.service!r} keeps {rollout.partition} at version {rollout.from_version}; "
            "promote it, or give it another plan"
        )
    raise FailedPrecondition(f"the update of {rollout.service!r} is not paused")


def _not_finished(rollout: Rollout) -> None:
    if rollout.finished_at is not None:
        raise FailedPrecondition(
            f"the update of {rollout.service!r} to version {rollout.version} is finished already"
        )


def _default(spec_json: str) -> PlanAsked:
    asked = parse_stored(spec_json).spec.features.get(FEATURE, "")
    if asked.lower() != "true":
        return PlanAsked()
    return PlanAsked(batch_size=DEFAULT_BATCH, interval_s=DEFAULT_INTERVAL_S)


def _staged(rollout: Rollout, plan: PlanAsked) -> Rollout:
    batches = plan.batch_size or (DEFAULT_BATCH if plan.interval_s is not None else "")
    return replace(
        rollout,
        partition=plan.partition,
        batch_size=batches,
        interval_s=plan.interval_s,
        paused=plan.paused,
    )


def _share(field: str, text: str) -> CountOrPercent | None:
    if not text:
        return None
    try:
        return parse_count_or_percent(text)
    except ValueError:
        raise InvalidRequest(f"plan.{field}", text, _SHARE) from None
