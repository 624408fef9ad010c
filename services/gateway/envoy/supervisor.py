"""Keeps one Envoy running: adopts the one that runs, starts one where none does, and ends it in order."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from datetime import timedelta

from libs.lifecycle import pause
from services.gateway.envoy import process
from services.gateway.envoy.admin import EnvoyAdmin
from services.gateway.envoy.process import Launch, Running

log = logging.getLogger(__name__)

_FIRST_WAIT = timedelta(milliseconds=200)
_LONGEST_WAIT = timedelta(seconds=10)
_GOOD_RUN = 30.0
_GLANCE = timedelta(milliseconds=50)
_LAST_ANSWERS = timedelta(milliseconds=500)


class EnvoySupervisor:
    """Runs Envoy until stopped. Killed itself, it leaves Envoy serving, and the next one adopts it."""

    def __init__(
        self,
        launch: Launch,
        admin: EnvoyAdmin,
        drain_for: timedelta,
        hindrance: Callable[[], str] = lambda: "",
        say: Callable[[str], None] = lambda why: None,
    ) -> None:
        self._launch, self._admin, self._drain_for = launch, admin, drain_for
        # Why no Envoy can be started now, empty when one can; and who is told.
        self._hindrance, self._say = hindrance, say
        self._wait = _FIRST_WAIT

    async def run(self, until: asyncio.Event) -> None:
        """Starts or adopts; starts again with growing pauses when Envoy ends by itself; drains at the end."""
        adopted = await asyncio.to_thread(process.find, self._launch)
        if adopted is not None:
            log.info("adopted the running Envoy", extra={"pid": adopted.pid})
        while adopted is not None or await self._unhindered(until):
            running = await self._started() if adopted is None else adopted
            adopted = None
            began = time.monotonic()
            if await self._watch(running, until):
                await self._end(running)
                return
            if time.monotonic() - began > _GOOD_RUN:
                self._wait = _FIRST_WAIT
            log.error(
                "Envoy ended by itself and is started again",
                extra={"pid": running.pid, "log": str(self._launch.directory / "envoy.log")},
            )
            await pause(until, self._wait)
            self._wait = min(2 * self._wait, _LONGEST_WAIT)

    async def _unhindered(self, until: asyncio.Event) -> bool:
        """Waits until Envoy may be started; False when asked to stop before that."""
        said = ""
        while not until.is_set():
            why = self._hindrance()
            self._say(why)
            if not why:
                return True
            if why != said:
                log.error("Envoy is not started for now", extra={"why": why})
                said = why
            await pause(until, _FIRST_WAIT)
        return False

    async def _started(self) -> Running:
        return await asyncio.to_thread(process.start, self._launch)

    async def _watch(self, running: Running, until: asyncio.Event) -> bool:
        """True when asked to stop, False when Envoy ended first."""
        ending = asyncio.create_task(process.ended(running))
        stopping = asyncio.create_task(until.wait())
        try:
            await asyncio.wait((ending, stopping), return_when=asyncio.FIRST_COMPLETED)
        finally:
            ending.cancel()
            stopping.cancel()
        return until.is_set()

    async def _idle(self) -> None:
        pace = asyncio.Event()
        while await self._admin.active_requests():
            await pause(pace, _GLANCE)

    async def _end(self, running: Running) -> None:
        """Clients that keep a connection learn from their next answer to open another one, elsewhere."""
        await self._admin.start_draining()
        await pause(asyncio.Event(), _LAST_ANSWERS)
        await self._admin.stop_listening()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._idle(), self._drain_for.total_seconds())
        await process.stop(running, self._launch)
        log.info("Envoy stopped", extra={"pid": running.pid})
