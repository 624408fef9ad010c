"""The picture of a deployment on a terminal: each instance and the phase it is in."""

import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from cli.phases import Said, standing, told
from cli.progress import bar, leaving_text, progress_text
from easel_sdk.types import Event, EventKind, Instance, InstanceState, Service

PHASES = ("placed", "image", "prepared", "started", "ready")
_REACHED = {
    InstanceState.PENDING: 0,
    InstanceState.SCHEDULED: 1,
    InstanceState.PULLING: 1,
    InstanceState.PREPARING: 2,
    InstanceState.STARTING: 3,
    InstanceState.WARMING_UP: 4,
    InstanceState.RUNNING: 4,
}
_SHOWN = 12


def reached(instance: Instance) -> int:
    """How many of `PHASES` lie behind the instance."""
    return len(PHASES) if instance.ready else _REACHED.get(instance.state, 0)


def phase_line(instance: Instance) -> Text:
    """The instance, its phases with those behind it ticked, and why it waits."""
    if instance.state is InstanceState.TERMINATING:
        return Text(f"  {instance.id:<28} leaving  {leaving_text(instance)}", style="dim")
    done = reached(instance)
    troubled = instance.state not in _REACHED
    line = Text(f"  {instance.id:<28} ")
    for number, phase in enumerate(PHASES):
        mark, style = ("✔", "green") if number < done else ("○", "dim")
        if number == done and not troubled:
            mark, style = "●", "yellow"
        line.append(f"{mark} {phase}  ", style=style)
    if troubled:
        line.append(str(instance.state), style="red")
    if progress := instance.progress:
        share = f"{bar(progress.done_bytes, progress.total_bytes)}  " if progress.total_bytes else ""
        line.append(f"\n    {share}{progress_text(progress)}", style="cyan")
    elif instance.why and not instance.ready:
        line.append(f"  {instance.why}", style="dim")
    return line


class Picture:
    """Progress as one live block, with the events scrolling above it. Use it as a context manager."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._said = Said()
        self._spinner = Spinner("dots", text="waiting for the scheduler")
        self._lines: list[RenderableType] = []
        self._service: Service | None = None
        self._began = time.monotonic()
        self._live = Live(console=console, get_renderable=self._drawn, refresh_per_second=8, transient=True)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def event(self, at: float, event: Event) -> None:
        if not self._said.anew(event.subject, told(event)):
            return
        style = "yellow" if event.kind is EventKind.WARNING else "dim"
        self._console.print(Text(f"{at:7.1f} s  {told(event)}", style=style))

    def state(self, at: float, service: Service, instances: Sequence[Instance]) -> None:
        self._service = service
        self._lines = [phase_line(each) for each in instances[:_SHOWN]]
        if len(instances) > _SHOWN:
            self._lines.append(Text(f"  and {len(instances) - _SHOWN} more", style="dim"))
        for reason in service.pending_reasons:
            self._lines.append(Text(f"  {reason}", style="yellow"))
        self._spinner.update(text=Text(standing(service, instances)))

    def _drawn(self) -> RenderableType:
        elapsed = Text(f"  {time.monotonic() - self._began:.1f} s", style="dim")
        return Group(self._spinner, *self._lines, elapsed)
