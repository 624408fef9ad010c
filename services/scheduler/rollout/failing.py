"""When instances that are being put in place of others hold everything up. Pure."""

from collections.abc import Iterable
from datetime import timedelta

from libs.domain.records import Instance, Rollout
from libs.domain.states import TROUBLED_STATES, InstanceState, RolloutPhase
from services.scheduler.rollout.begin import is_back
from services.scheduler.rollout.groups import Groups
from services.scheduler.rollout.situation import Situation


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


def not_ready(instances: Iterable[Instance]) -> str:
    """The sentence of one that is not ready and of which is known why; empty where there is none.

    Always of the first by name, so that it does not change while several have their troubles.
    """
    known = (i for i in instances if i.cause and i.why and not i.ready and not i.isolated)
    first = min(known, key=lambda i: i.id, default=None)
    return f"{first.id} is not ready: {first.why.splitlines()[0]}" if first else ""


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
    patience = situation.progress_deadline
    late = situation.now - since > patience and instance.state is not InstanceState.PENDING
    # One that only takes long (a large model that loads) names no cause, and is waited for.
    if instance.ready or not instance.cause or not late:
        return ""
    return f"not ready after {_span(patience)}: {_said(instance)}"


def _tries_again(instance: Instance, update: Rollout) -> bool:
    """One that failed has not recovered until it is ready, whatever it does on the way."""
    failed = update.phase is RolloutPhase.FAILED and not instance.ready
    return failed and bool(instance.restarts or instance.cause)


def _span(span: timedelta) -> str:
    minutes, seconds = divmod(int(span.total_seconds()), 60)
    return f"{minutes * 60 + seconds} s" if seconds or minutes < 2 else f"{minutes} minutes"


def _said(instance: Instance) -> str:
    return instance.why or f"it is {instance.state.value}"
