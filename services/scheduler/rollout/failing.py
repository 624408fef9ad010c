"""When instances that are being put in place of others hold everything up. Pure."""

from datetime import timedelta

from libs.domain.records import Instance, Rollout
from libs.domain.states import TROUBLED_STATES, InstanceState, RolloutPhase
from services.scheduler.rollout.begin import is_back
from services.scheduler.rollout.groups import Groups
from services.scheduler.rollout.situation import Situation

# As long as Kubernetes gives a deployment: what has named a cause for so long does not mend itself. One that
# only takes long (a large model that loads) names none, and is waited for.
PROGRESS_DEADLINE = timedelta(minutes=10)


def held_up(situation: Situation, groups: Groups) -> str:
    """The sentence of the new instance that fails; empty while nothing is held up."""
    update = situation.update
    if update is None and not groups.old:
        return _moves_into_trouble(groups)
    for instance in groups.fresh:
        if why := _trouble(instance, situation):
            return f"{instance.id}: {why}"
    if update is not None and any(_tries_again(i, update) for i in groups.fresh):
        return update.why
    return ""


def in_trouble(instance: Instance, situation: Situation) -> bool:
    """Whether it is one of those that hold the update up."""
    update = situation.update
    tries_again = update is not None and _tries_again(instance, update)
    return tries_again or bool(_trouble(instance, situation))


def goes_back(situation: Situation, groups: Groups, trouble: str) -> int:
    """The version to go back to by itself; 0 for none. One that goes back already stays where it is."""
    update = situation.update
    if not trouble or update is None or not situation.auto_rollback or is_back(update):
        return 0
    before = update.from_version
    worked = before == situation.service.stable_version or any(
        i.version == before and i.ready_at is not None for i in groups.counted
    )
    return before if worked and before != update.version else 0


def _moves_into_trouble(groups: Groups) -> str:
    """Instances of a proven version that are moved: only one that never worked where it is now counts."""
    for instance in groups.fresh if groups.moving else ():
        if instance.ready_at is None and instance.state in TROUBLED_STATES:
            return f"{instance.id}: {_said(instance)}"
    return ""


def _trouble(instance: Instance, situation: Situation) -> str:
    if instance.state in TROUBLED_STATES:
        return _said(instance)
    since = instance.started_at or instance.created_at
    late = situation.now - since > PROGRESS_DEADLINE and instance.state is not InstanceState.PENDING
    if instance.ready or not instance.cause or not late:
        return ""
    return f"not ready after {PROGRESS_DEADLINE // timedelta(minutes=1)} minutes: {_said(instance)}"


def _tries_again(instance: Instance, update: Rollout) -> bool:
    """One that failed has not recovered until it is ready, whatever it does on the way."""
    failed = update.phase is RolloutPhase.FAILED and not instance.ready
    return failed and bool(instance.restarts or instance.cause)


def _said(instance: Instance) -> str:
    return instance.why or f"it is {instance.state.value}"
