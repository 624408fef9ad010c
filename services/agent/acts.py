"""The steps of a plan, carried out: each may be repeated, and each may be cancelled."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import TypeAlias

from libs.domain.errors import EaselError
from libs.domain.states import InstanceState
from libs.telemetry.traces import Traces
from services.agent.drain import drained
from services.agent.observed import Trouble
from services.agent.reporting import Reporting
from services.agent.runtime.port import InstanceTrouble, PullFailed, Running, Runtime, StartFailed
from services.agent.showing import Showing
from services.agent.stalling import Patience, while_it_moves
from services.agent.steps import End, Start, Stop

log = logging.getLogger(__name__)

_AGAIN_AFTER = 1.0
PostUrl: TypeAlias = Callable[[str], Awaitable[str]]


class Acts:
    """Starts, ends and stops instances by a runtime, and shows how far that is."""

    def __init__(
        self,
        runtime: Runtime,
        showing: Showing,
        traces: Traces,
        clock: Callable[[], datetime],
        patience: Patience,
        post_url: PostUrl | None = None,
    ) -> None:
        """`post_url` says where the program of an instance may post its metrics."""
        self._runtime, self._showing, self._traces = runtime, showing, traces
        self._clock, self._patience, self._post_url = clock, patience, post_url

    async def start(self, step: Start, before: Trouble | None) -> Running | Trouble:
        """What runs then, or the trouble of this try; `before` is that of the try before it."""
        try:
            return await self._start(step)
        except EaselError as refused:
            trouble = refused
        except Exception as broken:
            log.exception("starting an instance broke", extra={"instance": step.workload.id})
            trouble = StartFailed(f"could not start: {broken!r}")
        log.warning("instance did not start", extra={"instance": step.workload.id, "why": str(trouble)})
        return self._trouble(step, trouble, before)

    async def end(self, step: End) -> None:
        """Ends the program once nobody is connected any more. Its files stay."""
        running = step.running
        self._showing.ending(step)
        await self._drain(running, step.why, step.drain, step.workload.keepalive)
        await self._tried(running.id, self._runtime.ensure_ended(running.id, running.grace, running.sigterm))
        log.info("program ended", extra={"instance": running.id, "why": step.why})

    async def stop(self, step: Stop, running: Running | None, unseen: timedelta) -> bool:
        """Whether nothing of it is left. `unseen` is waited for connections that cannot be seen."""
        self._showing.stopping(step.id, step.why)
        if running is not None:
            await self._drain(running, step.why, step.drain, unseen)
        if not await self._tried(step.id, self._runtime.ensure_absent(step.id, step.grace, step.sigterm)):
            return False
        log.info("instance stopped", extra={"instance": step.id, "why": step.why})
        return True

    async def _start(self, step: Start) -> Running:
        workload, about = step.workload, {"easel.instance": step.workload.id}
        phase = Reporting(
            partial(self._showing.phase, workload, step.attempt), partial(self._showing.progress, workload.id)
        )
        self._showing.begins(workload.id)
        try:
            phase(InstanceState.PREPARING if workload.prepares else InstanceState.STARTING, step.why)
            with self._traces.span("agent.prepare", workload.traceparent, about):
                await while_it_moves(self._runtime.prepare(workload, phase), phase, self._patience)
            phase(InstanceState.STARTING, step.why)
            if self._post_url is not None:
                workload = replace(workload, metrics_url=await self._post_url(workload.id))
            with self._traces.span("agent.start", workload.traceparent, about):
                return await self._runtime.ensure_running(workload, step.attempt)
        finally:
            phase.close()

    def _trouble(self, step: Start, refused: EaselError, before: Trouble | None) -> Trouble:
        workload = step.workload
        again = before is not None and (before.spec_hash, before.run) == (workload.spec_hash, workload.run)
        pull = isinstance(refused, PullFailed)
        return Trouble(
            at=self._clock(),
            why=str(refused),
            state=InstanceState.IMAGE_PULL_BACK_OFF if pull else InstanceState.CRASH_LOOP_BACK_OFF,
            spec_hash=workload.spec_hash,
            streak=before.streak + 1 if before is not None and again else 1,
            cause=refused.cause if isinstance(refused, InstanceTrouble) else StartFailed.usually,
            run=workload.run,
        )

    async def _drain(self, running: Running, why: str, within: timedelta, unseen: timedelta) -> None:
        if running.exit is not None or not running.port or not within:
            return
        shown = f"{why}; waiting for its connections to end, for up to {within.total_seconds():g} s"
        tell = partial(self._showing.connections, running.id)

        def waits(connections: int) -> None:
            if connections:
                self._showing.waiting(running.id, shown)
            tell(connections)

        await drained(running, self._runtime, within, unseen, waits)

    async def _tried(self, instance: str, work: Awaitable[None]) -> bool:
        """Whether it went well; what did not is tried again by a later pass."""
        try:
            await work
        except Exception as refused:
            facts, bug = {"instance": instance, "why": str(refused)}, not isinstance(refused, EaselError)
            log.warning("could not stop instance", extra=facts, exc_info=bug)
            await asyncio.sleep(_AGAIN_AFTER)
            return False
        return True
