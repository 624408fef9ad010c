"""Following a deployment to its end: lines where nobody watches, a live picture on a terminal."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from cli.output import err
from cli.phases import (
    Outcome,
    Said,
    Wanted,
    moves,
    other_in_force,
    outcome,
    standing,
    superseded,
    told,
    too_large,
)
from cli.progress import milestone, progress_text
from cli.session import alone, listed
from easel_sdk.errors import DeadlineExceeded, EaselError
from easel_sdk.types import Event, EventKind, Instance, InstanceState, Service

if TYPE_CHECKING:
    from easel_sdk import AsyncEasel

_LOOK_EVERY = 0.5
_LATEST = 200


class Display(Protocol):
    """Shows progress. Entered before the first call and left after the last."""

    def event(self, at: float, event: Event) -> None: ...

    def state(self, at: float, service: Service, instances: Sequence[Instance]) -> None: ...


class Lines:
    """One line per event and per change of an instance, for logs and pipes."""

    def __init__(self) -> None:
        self._told: dict[str, str] = {}
        self._said = Said()
        self._standing = ""

    def event(self, at: float, event: Event) -> None:
        if not self._said.anew(event.subject, told(event)):
            return
        mark = "!" if event.kind is EventKind.WARNING else " "
        err().print(f"{at:7.1f} s {mark} {told(event)}", markup=False)

    def state(self, at: float, service: Service, instances: Sequence[Instance]) -> None:
        for each in instances:
            self._progress(at, each)
        whys = {each.id: each.why for each in instances if each.why and not each.ready}
        for name, sentence in moves(self._told, instances).items():
            self._told[name] = sentence
            told_already = name in whys and not self._said.anew(name, f"{name}: {whys[name]}")
            shown = sentence.removesuffix(f": {whys[name]}") if told_already else sentence
            if self._said.anew(f"{name} as shown", f"{name} {shown}"):
                err().print(f"{at:7.1f} s   {name} {shown}", markup=False)
        if (now := standing(service, instances)) != self._standing:
            self._standing = now
            err().print(f"{at:7.1f} s   {now}", markup=False)

    def _progress(self, at: float, instance: Instance) -> None:
        if instance.progress and self._said.anew(f"{instance.id} fetching", milestone(instance.progress)):
            err().print(f"{at:7.1f} s   {instance.id} {progress_text(instance.progress)}", markup=False)


async def follow(
    easel: "AsyncEasel",
    name: str,
    wanted: Wanted,
    after_event: int,
    timeout: float,
    listen: Callable[[Sequence[Instance]], None] = lambda _: None,
) -> Outcome:
    """Shows progress until the service is there or cannot be, and hands `listen` the instances of each look.

    Raises `DeadlineExceeded` after `timeout` s.
    """
    seen = _Seen(after_event, listen)
    with contextlib.ExitStack() as shown:
        display = _display(shown)
        watches = [
            asyncio.create_task(_watch_service(easel, name, seen)),
            asyncio.create_task(_watch_events(easel, name, after_event, seen, display)),
        ]
        try:
            ended = await _until_there(easel, name, wanted, timeout, seen, display)
            return await _with_reason(easel, ended, seen.service, wanted, after_event)
        finally:
            for watch in watches:
                watch.cancel()
            await asyncio.gather(*watches, return_exceptions=True)
            with contextlib.suppress(EaselError):
                await _show_the_rest(easel, name, seen, display)


async def _show_the_rest(easel: "AsyncEasel", name: str, seen: "_Seen", display: Display) -> None:
    """The service's watch may end the wait before the events' watch has told the last of them."""
    for event in (await listed(easel.events.list(service=name), _LATEST))[::-1]:
        if event.id > seen.last_event:
            display.event(seen.waited(), event)


class _Seen:
    """What the watches have learnt so far."""

    def __init__(self, last_event: int, listen: Callable[[Sequence[Instance]], None]) -> None:
        self.listen = listen
        self.began = time.monotonic()
        self.service: Service | None = None
        self.known = False
        self.failure: EaselError | None = None
        self.last_event = last_event
        self.hopeless = ""
        self.news = asyncio.Event()

    def waited(self) -> float:
        return time.monotonic() - self.began


async def _until_there(
    easel: "AsyncEasel", name: str, wanted: Wanted, timeout: float, seen: _Seen, display: Display
) -> Outcome:
    while True:
        instances = await listed(easel.instances.list(service=name))
        seen.listen(instances)
        if seen.failure is not None:
            raise seen.failure
        if seen.known:
            if seen.service is not None:
                display.state(seen.waited(), seen.service, instances)
            if ended := outcome(seen.service, instances, wanted, seen.waited()):
                return ended
            if seen.service is not None and await _without_hope(easel, seen.service, instances, seen):
                return Outcome(False, f"{seen.hopeless}; change the service, or add a node")
        left = timeout - seen.waited()
        if left <= 0:
            raise DeadlineExceeded(_late(name, seen.service, instances, timeout))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(seen.news.wait(), min(_LOOK_EVERY, left))
        seen.news.clear()


async def _with_reason(
    easel: "AsyncEasel", ended: Outcome, service: Service | None, wanted: Wanted, after_event: int
) -> Outcome:
    """What ended because another version is in force says why, where only an event tells."""
    if ended.ok or service is None or not superseded(service, wanted):
        return ended
    if service.rollout is not None and service.rollout.because:
        return ended
    for event in await listed(easel.events.list(service=service.name), _LATEST):
        if event.id > after_event and event.reason == "RolloutRolledBack":
            return Outcome(False, other_in_force(service, event.why))
    return ended


async def _without_hope(
    easel: "AsyncEasel", service: Service, instances: Sequence[Instance], seen: "_Seen"
) -> bool:
    """Whether no node can ever hold what is pending, and none can join. Where one could, it says so once."""
    pending = [each for each in instances if each.state is InstanceState.PENDING and each.why]
    if not pending or seen.hopeless:
        return False
    nodes = await listed(easel.nodes.list())
    seen.hopeless = too_large(pending, nodes, service.resource_group)
    if not seen.hopeless or alone(len(nodes)):
        return bool(seen.hopeless)
    err().print(
        f"{seen.hopeless}; this waits for one that joins (Ctrl-C ends the wait, not the service)",
        markup=False,
    )
    return False


def _late(name: str, service: Service | None, instances: Sequence[Instance], timeout: float) -> str:
    stands = standing(service, instances) if service else "nothing is known of it"
    reasons = service.pending_reasons if service else ()
    why = "; ".join(reasons) or next((each.why for each in instances if each.why and not each.ready), "")
    return f"{name} is not there after {timeout:g} s: {stands}" + (f"; {why}" if why else "")


async def _watch_service(easel: "AsyncEasel", name: str, seen: _Seen) -> None:
    try:
        async for change in easel.services.watch(name):
            if change.service is not None:
                seen.service = None if change.deleted else change.service
            seen.known = seen.known or change.synced
            seen.news.set()
    except EaselError as failure:
        seen.failure = failure
        seen.news.set()


async def _watch_events(easel: "AsyncEasel", name: str, after: int, seen: _Seen, display: Display) -> None:
    with contextlib.suppress(EaselError):  # The service's watch says why, if it is lost too.
        if not after:  # A watch after 0 would leave out what has happened since the change.
            for event in (await listed(easel.events.list(service=name)))[::-1]:
                after = seen.last_event = event.id
                display.event(seen.waited(), event)
        async for event in easel.events.watch(service=name, after_id=after):
            seen.last_event = event.id
            display.event(seen.waited(), event)
            seen.news.set()


def _display(shown: contextlib.ExitStack) -> Display:
    if not err().is_terminal:
        return Lines()
    from cli.live import Picture

    return shown.enter_context(Picture(err()))


async def gone(easel: "AsyncEasel", name: str, timeout: float) -> None:
    """Returns once no service has this name. Raises `DeadlineExceeded` after `timeout` seconds."""
    try:
        async with asyncio.timeout(timeout):
            present = False
            async for change in easel.services.watch(name):
                if change.service is not None:
                    present = not change.deleted
                if (change.synced or change.deleted) and not present:
                    return
    except TimeoutError:
        raise DeadlineExceeded(f"{name} is still being deleted after {timeout:g} s") from None
