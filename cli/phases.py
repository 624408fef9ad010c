"""Where a deployment stands, decided from what was observed of it. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from easel_sdk.types import Event, Instance, InstanceState, Service, ServiceState

# An instance that came back this often without becoming ready is not going to by itself.
HOPELESS_RESTARTS = 3
# A service that was changed may still show the failure of before for a moment.
STALE_SECONDS = 3.0


class Goal(StrEnum):
    READY = "ready"
    STOPPED = "stopped"


@dataclass(frozen=True)
class Outcome:
    """How the wait ended, and the sentence about it."""

    ok: bool
    why: str


@dataclass(frozen=True)
class Wanted:
    """What a write set out to reach: a goal, from a version on, by instances made at `since` or later."""

    goal: Goal
    version: int = 0
    since: datetime | None = None
    changed: bool = False


def outcome(
    service: Service | None, instances: Sequence[Instance], wanted: Wanted, waited: float
) -> Outcome | None:
    """The end of the wait, or None while it goes on. `waited` is in seconds; `service` None is deleted."""
    if service is None:
        return Outcome(False, "the service was deleted meanwhile")
    if wanted.goal is Goal.STOPPED or service.wanted == 0:
        return Outcome(True, service.why) if service.state is ServiceState.STOPPED else None
    if failure := _failure(service, instances, wanted, waited):
        return Outcome(False, failure)
    ready = sum(each.ready and _counts(each, wanted) for each in instances)
    there = service.state is ServiceState.RUNNING and service.running_version >= wanted.version
    if there and service.ready >= service.wanted and ready >= service.wanted:
        return Outcome(True, service.why)
    return None


def _counts(instance: Instance, wanted: Wanted) -> bool:
    made = instance.created_at
    young = wanted.since is None or (made is not None and made >= wanted.since)
    return young and instance.version >= wanted.version


def _failure(service: Service, instances: Sequence[Instance], wanted: Wanted, waited: float) -> str:
    if service.state is ServiceState.FAILED and (not wanted.changed or waited > STALE_SECONDS):
        return service.why or "the service failed"
    for each in instances:
        if not _counts(each, wanted):
            continue
        looping = each.state is InstanceState.CRASH_LOOP_BACK_OFF and each.restarts >= HOPELESS_RESTARTS
        if each.state is InstanceState.FAILED or looping:
            return f"{each.id}: {each.why or each.last_exit}"
    return ""


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
    return f"{service.state}: {service.ready} of {service.wanted} ready ({states})"


def moves(before: Mapping[str, str], instances: Sequence[Instance]) -> dict[str, str]:
    """The sentence on each instance that is now another one than `before`; keyed by instance id."""
    now = {each.id: _sentence(each) for each in instances}
    return {name: text for name, text in now.items() if before.get(name) != text}


def _word(instance: Instance) -> str:
    state = str(instance.state)
    return "ready" if instance.ready else state.lower() if state.istitle() else state


def _sentence(instance: Instance) -> str:
    where = f" on {instance.node}" if instance.node else ""
    why = f": {instance.why}" if instance.why and not instance.ready else ""
    return f"{_word(instance)}{where}{why}"
