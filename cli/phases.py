"""Where a deployment stands, decided from what was observed of it. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from cli.plans import rollout_text
from easel_sdk.types import (
    Event,
    Instance,
    InstanceState,
    Node,
    Resources,
    Rollout,
    RolloutPhase,
    Service,
    ServiceState,
)

# An instance that came back this often without becoming ready is not going to by itself.
HOPELESS_RESTARTS = 3
# A service that was changed may still show the failure of before for a moment.
STALE_SECONDS = 3.0


class Goal(StrEnum):
    READY = "ready"
    STOPPED = "stopped"
    UPDATED = "updated"


@dataclass(frozen=True)
class Outcome:
    """How the wait ended, and the sentence about it."""

    ok: bool
    why: str


@dataclass(frozen=True)
class Wanted:
    """What a write set out to reach: a goal, at a version, by instances made at `since` or later.

    A service that was `changed` may still show the failure of before for a moment, one whose update was
    `released` that it is paused.
    """

    goal: Goal
    version: int = 0
    since: datetime | None = None
    changed: bool = False
    released: bool = False


def outcome(
    service: Service | None, instances: Sequence[Instance], wanted: Wanted, waited: float
) -> Outcome | None:
    """The end of the wait, or None while it goes on. `waited` is in seconds; `service` None is deleted."""
    if service is None:
        return Outcome(False, "the service was deleted meanwhile")
    if wanted.goal is Goal.STOPPED or service.wanted == 0:
        return Outcome(True, service.why) if _nothing_runs(service, instances, wanted) else None
    if wanted.goal is Goal.UPDATED:
        return _updated(service.rollout)
    if failure := _failure(service, instances, wanted, waited):
        return Outcome(False, failure)
    if _held(service, wanted, waited) and service.ready >= service.wanted and service.rollout is not None:
        return Outcome(True, service.rollout.why)
    ready = sum(each.ready and _counts(each, service, wanted) for each in instances)
    if service.state is ServiceState.RUNNING and service.ready >= service.wanted and ready >= service.wanted:
        return Outcome(True, service.why)
    return None


def _nothing_runs(service: Service, instances: Sequence[Instance], wanted: Wanted) -> bool:
    """Whether it is stopped; one that was scaled to 0 is there once no instance is left but detached ones."""
    left = any(not each.detached for each in instances)
    emptied = wanted.goal is not Goal.STOPPED and not left and not service.ready
    return service.state is ServiceState.STOPPED or emptied


def under_way(rollout: Rollout | None) -> Rollout | None:
    """The update, unless there is none or it is finished."""
    return None if rollout is None or rollout.finished_at is not None else rollout


def _updated(rollout: Rollout | None) -> Outcome | None:
    """The end of an update that is watched: it may stop half-way for long, and that is no end."""
    if rollout is None:
        return Outcome(True, "there is no update")
    if rollout.phase is RolloutPhase.FAILED:
        return Outcome(False, rollout.why)
    finished = rollout.phase is RolloutPhase.COMPLETED or rollout.finished_at is not None
    return Outcome(True, rollout.why) if finished else None


def _held(service: Service, wanted: Wanted, waited: float) -> bool:
    """Whether the update has gone as far as its plan lets it without a user's word."""
    rollout = under_way(service.rollout)
    if rollout is None or rollout.phase is not RolloutPhase.PAUSED or rollout.version != service.version:
        return False
    plan = rollout.plan
    asked = plan.paused or bool(plan.partition) or bool(plan.batch_size and plan.interval is None)
    return asked and (not wanted.released or waited > STALE_SECONDS)


def _counts(instance: Instance, service: Service, wanted: Wanted) -> bool:
    made = instance.created_at
    young = wanted.since is None or (made is not None and made >= wanted.since)
    return young and instance.version == service.version and not instance.detached


def _failure(service: Service, instances: Sequence[Instance], wanted: Wanted, waited: float) -> str:
    fresh = not wanted.changed or waited > STALE_SECONDS
    if service.state is ServiceState.FAILED and fresh:
        return service.why or "the service failed"
    rollout = service.rollout
    if superseded(service, wanted):
        return other_in_force(service, "" if rollout is None else rollout.because or rollout.why)
    failed = rollout is not None and rollout.phase is RolloutPhase.FAILED
    fresh = not wanted.released or waited > STALE_SECONDS
    if rollout is not None and failed and rollout.version == service.version and fresh:
        return rollout.why or "the update failed"
    for each in instances:
        if not _counts(each, service, wanted):
            continue
        looping = each.state is InstanceState.CRASH_LOOP_BACK_OFF and each.restarts >= HOPELESS_RESTARTS
        if each.state is InstanceState.FAILED or looping:
            return f"{each.id}: {each.why or each.last_exit}"
    return ""


def superseded(service: Service, wanted: Wanted) -> bool:
    """Whether another version is in force: it was rolled back by itself, or changed by another."""
    return bool(wanted.version) and service.version != wanted.version


def other_in_force(service: Service, why: str) -> str:
    """The sentence on a service that is superseded."""
    return f"version {service.version} is in force by now" + (f": {why}" if why else "")


def readiness(service: Service, noun: str = "") -> str:
    """How many serve of those that are wanted: "3 of 3 ready, 1 more is leaving"."""
    more = service.ready - service.wanted
    surplus = f", {more} more {'is' if more == 1 else 'are'} leaving" if more > 0 else ""
    return f"{min(service.ready, service.wanted)} of {service.wanted} {noun}ready{surplus}"


def too_large(pending: Sequence[Instance], nodes: Sequence[Node], group: str) -> str:
    """Why no node of the group could hold one of these instances even if it were empty; "" when one could."""
    mine = [each.capacity for each in nodes if each.resource_group == group]
    for instance in pending:
        needed = instance.resources
        if any(_holds(capacity, needed) for capacity in mine):
            continue
        if not mine:
            return f"resource group {group} has no node"
        return f"no node of resource group {group} could hold {instance.id} even if it were empty"
    return ""


def _holds(capacity: Resources, needed: Resources) -> bool:
    return (
        needed.cpu_milli <= capacity.cpu_milli
        and needed.memory_mib <= capacity.memory_mib
        and needed.disk_mib <= capacity.disk_mib
        and needed.gpus <= capacity.gpus
    )


def told(event: Event) -> str:
    """The event's sentence, after what it is about where that is not the service itself."""
    sentence = event.why or event.reason
    return sentence if event.subject == event.service else f"{event.subject}: {sentence}"


class Said:
    """What was told last of each thing, so that nothing is told twice in a row."""

    def __init__(self) -> None:
        self._last: dict[str, str] = {}

    def anew(self, subject: str, sentence: str) -> bool:
        """Whether the sentence is news; it counts as told from now on."""
        known = sentence in self._last.values()
        self._last[subject] = sentence
        return not known


def standing(service: Service, instances: Sequence[Instance]) -> str:
    """One line on where things are: the service's state, and how many instances are in which state."""
    counts: dict[str, int] = {}
    for each in instances:
        word = _word(each)
        counts[word] = counts.get(word, 0) + 1
    states = ", ".join(f"{number} {word}" for word, number in counts.items()) or "no instance yet"
    rollout = under_way(service.rollout)
    updated = f"; version {rollout_text(rollout)}" if rollout else ""
    return f"{service.state}: {readiness(service)} ({states}){updated}"


def moves(before: Mapping[str, str], instances: Sequence[Instance]) -> dict[str, str]:
    """The sentence on each instance that is now another one than `before`; keyed by instance id."""
    now = {each.id: _sentence(each) for each in instances}
    return {name: text for name, text in now.items() if before.get(name) != text}


def _word(instance: Instance) -> str:
    state = str(instance.state)
    if instance.detached or instance.isolated:
        return "detached" if instance.detached else "isolated"
    return "ready" if instance.ready else state.lower() if state.istitle() else state


def _sentence(instance: Instance) -> str:
    where = f" on {instance.node}" if instance.node else ""
    why = f": {instance.why}" if instance.why and not instance.ready else ""
    return f"{_word(instance)}{where}{why}"
