"""What changes every moment and is never stored: how far transfers are, and which connections are open."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from easel.agent.v1 import agent_pb2
from libs.db.changes import Changes
from libs.domain.progress import Progress
from libs.domain.records import Event, Instance
from libs.domain.states import EventKind
from services.scheduler.world import World

# A transfer that is over sooner is not worth an event.
LONG = timedelta(seconds=5)
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


@dataclass(frozen=True)
class Told:
    """What was said of a transfer so far."""

    what: str
    since: datetime
    begun: bool = False
    quarters: int = 0


@dataclass(frozen=True)
class Now:
    """The newest of one instance. `epoch` is that of the agent's link it came by."""

    node: str
    epoch: int
    progress: Progress | None = None
    connections: int = 0
    told: Told | None = None


NOTHING = Now("", 0)


class Live:
    """By instance; forgotten when the instance goes or is ready, or when its agent's link ends."""

    def __init__(self) -> None:
        self._now: dict[str, Now] = {}

    def of(self, instance: str) -> Now:
        return self._now.get(instance, NOTHING)

    def take(
        self,
        world: World,
        node: str,
        epoch: int,
        reports: Iterable[agent_pb2.InstanceReport],
        now: datetime,
    ) -> tuple[Event, ...]:
        """Takes over what `node` says of its own instances; the events about transfers that take long."""
        events: list[Event] = []
        for report in reports:
            instance = world.instances.get(report.id)
            if instance is None or instance.node != node or report.epoch != instance.epoch:
                continue
            known, told = self.of(report.id), None
            progress = None if report.ready or report.gone else _progress_of(report)
            if progress is not None:
                told, sentence = next_told(known.told, progress, now)
                if sentence:
                    events.append(_event(instance, sentence, now))
            self._keep(report.id, Now(node, epoch, progress, report.connections, told))
        return tuple(events)

    def ended(self, node: str, epoch: int) -> None:
        """The link is over; what a newer one has told stays."""
        over = [i for i, each in self._now.items() if (each.node, each.epoch) == (node, epoch)]
        for instance in over:
            del self._now[instance]

    def heard(self, changes: Changes) -> None:
        """A ledger listener."""
        for record in changes.delete:
            if isinstance(record, Instance):
                self._now.pop(record.id, None)
        for record in changes.put:
            if isinstance(record, Instance) and record.ready and record.id in self._now:
                self._keep(record.id, replace(self._now[record.id], progress=None, told=None))

    def _keep(self, instance: str, now: Now) -> None:
        if now.progress is None and not now.connections:
            self._now.pop(instance, None)
        else:
            self._now[instance] = now


def next_told(told: Told | None, progress: Progress, now: datetime) -> tuple[Told, str]:
    """What is said of a transfer by now, and the sentence to say, empty for none. Pure.

    Only of one that takes long: when it began, and at each quarter.
    """
    if told is None or told.what != progress.what:
        told = Told(progress.what, now)
    takes = now - told.since + (progress.left or timedelta())
    if takes < LONG:
        return told, ""
    if told.begun and progress.quarters <= told.quarters:
        return told, ""
    return replace(told, begun=True, quarters=progress.quarters), in_words(progress)


def in_words(progress: Progress) -> str:
    """Such as "image a:1: 1.2 GiB of 4 GiB, 80 MiB/s, about 36 s left"."""
    done = size(progress.done_bytes)
    parts = [f"{done} of {size(progress.total_bytes)}" if progress.total_bytes else done]
    if progress.bytes_per_second:
        parts.append(f"{size(progress.bytes_per_second)}/s")
    if progress.left is not None:
        parts.append(f"about {duration(progress.left)} left")
    return f"{progress.what}: {', '.join(parts)}"


def size(count: int) -> str:
    """Bytes in the unit that fits: "512 B", "1.5 GiB"."""
    amount, unit = float(count), 0
    while amount >= 1024 and unit < len(_UNITS) - 1:
        amount, unit = amount / 1024, unit + 1
    return f"{amount:.1f}".removesuffix(".0") + f" {_UNITS[unit]}"


def duration(length: timedelta) -> str:
    """Rounded as people would: "8 s", "3 min", "2 h 5 min", "6 days"."""
    seconds = round(length.total_seconds())
    if seconds < 60:
        return f"{seconds} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, rest = divmod(minutes, 60)
    if hours >= 48:
        return f"{round(hours / 24)} days"
    return f"{hours} h {rest} min" if rest else f"{hours} h"


def _progress_of(report: agent_pb2.InstanceReport) -> Progress | None:
    if not report.HasField("progress"):
        return None
    told = report.progress
    return Progress(told.what, told.done_bytes, told.total_bytes, told.bytes_per_second)


def _event(instance: Instance, why: str, now: datetime) -> Event:
    return Event(now, EventKind.NORMAL, "TransferProgress", why, "instance", instance.id, instance.service)
