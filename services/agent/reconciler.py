"""Makes this node run exactly what is assigned to it."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from libs.domain.errors import EaselError
from libs.telemetry.traces import Traces
from services.agent.acts import Acts, PostUrl
from services.agent.board import Board
from services.agent.health.remembered import Readiness, Remembered
from services.agent.health.verdict import Health
from services.agent.health.watch import Means, WarmUp, Watch
from services.agent.observed import Busy, Failing, Observed, Trouble, Wanted
from services.agent.plan import plan_node
from services.agent.runtime.port import Running, Runtime
from services.agent.showing import Showing
from services.agent.stalling import Patience
from services.agent.steps import End, Plan, Start, Stop
from services.agent.workload import Workload

log = logging.getLogger(__name__)

RESYNC_EVERY = timedelta(seconds=10)
SHORTEST_WAIT = 0.005


def utc_now() -> datetime:
    return datetime.now(UTC)


class Reconciler:
    """Compares what is wanted with what runs, again and again.

    Each instance is worked on by a task of its own, so that a slow one holds up nobody.
    """

    def __init__(
        self,
        runtime: Runtime,
        board: Board,
        traces: Traces,
        clock: Callable[[], datetime] = utc_now,
        *,
        patience: Patience | None = None,
        remembered: Remembered | None = None,
        warm_up: WarmUp | None = None,
        post_url: PostUrl | None = None,
    ) -> None:
        patience = patience or Patience()
        self._runtime, self._board, self._traces, self._clock = runtime, board, traces, clock
        self._remembered = remembered or Remembered()
        self._showing = Showing(board)
        self._acts = Acts(runtime, self._showing, traces, clock, patience, post_url)
        self._means = Means(runtime, warm_up, patience.start)
        self._wanted: Mapping[str, Wanted] | None = None
        self._running: dict[str, Running] = {}
        self._troubles: dict[str, Trouble] = {}
        self._failing: dict[str, Failing] = {}
        self._work: dict[str, tuple[Busy, asyncio.Task[None]]] = {}
        self._watches: dict[str, tuple[Running, asyncio.Task[None]]] = {}
        self._absent: set[str] = set()
        self._wake = asyncio.Event()
        # Set once what runs has been seen: before that, nothing true can be said about this node.
        self.observed = asyncio.Event()

    def running(self) -> list[Running]:
        """What ran at the last look."""
        return [running for running in self._running.values() if running.exit is None]

    def workload(self, instance: str) -> Workload | None:
        """What this instance is to run; None for one that is not wanted here."""
        wanted = (self._wanted or {}).get(instance)
        return wanted.workload if wanted is not None else None

    def want(self, wanted: Mapping[str, Wanted]) -> None:
        """The full set from now on."""
        self._wanted = wanted
        self._wake.set()

    def wake(self) -> None:
        """Look now instead of at the next resync."""
        self._wake.set()

    async def run(self) -> None:
        """Reconciles until cancelled; a runtime that is away is waited for, and said once."""
        away = ""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._hear_exits())
            try:
                while True:
                    self._wake.clear()
                    try:
                        wait = await self.reconcile()
                        away = ""
                    except (EaselError, OSError) as refused:
                        if str(refused) != away:
                            log.warning("runtime is away", extra={"why": str(refused)})
                        away, wait = str(refused), timedelta(seconds=1)
                    # Unlike wait_for, this never takes a cancellation for the end of the wait.
                    with suppress(TimeoutError):
                        async with asyncio.timeout(max(wait.total_seconds(), SHORTEST_WAIT)):
                            await self._wake.wait()
            finally:
                await self._let_go()

    async def reconcile(self) -> timedelta:
        """One pass; how long nothing needs to be done unless something happens. Raises Unavailable."""
        self._running = {running.id: running for running in await self._runtime.instances()}
        self.observed.set()
        if self._wanted is None:
            self._adopt_unasked()
            return RESYNC_EVERY
        now = self._clock()
        plan = plan_node(self._observed(self._wanted), now)
        self._carry_out(plan, self._wanted)
        self._forget_absent()
        if plan.why:
            log.info("node reconciled", extra={"why": plan.why})
        due = plan.next_due()
        return min(RESYNC_EVERY, due - now) if due is not None else RESYNC_EVERY

    def _observed(self, wanted: Mapping[str, Wanted]) -> Observed:
        return Observed(
            wanted=wanted,
            running=self._running,
            troubles=self._troubles,
            busy={instance: busy for instance, (busy, _) in self._work.items()},
            failing=self._failing,
            ready_at=self._remembered.ready_at(),
        )

    def _carry_out(self, plan: Plan, wanted: Mapping[str, Wanted]) -> None:
        for keep in plan.keep:
            self._keep(keep.running, keep.workload)
        for leave in plan.leave:
            self._leave(leave.running, leave.epoch)
        for hold in plan.hold:
            self._stop_watching(hold.id)
            self._showing.held(hold, wanted[hold.id])
        for stop in plan.stop:
            busy = Busy(stopping=True, drain=stop.drain)
            self._work_on(stop.id, busy, self._stop(stop, self._work.get(stop.id)))
        for end in plan.end:
            workload = end.workload
            self._work_on(workload.id, Busy(stopping=False, spec_hash=workload.spec_hash), self._end(end))
        for start in plan.start:
            workload = start.workload
            self._work_on(workload.id, Busy(stopping=False, spec_hash=workload.spec_hash), self._start(start))
        for instance in plan.gone:
            self._remembered.forget(instance)
            self._showing.gone(instance, wanted[instance].epoch)

    def _work_on(self, instance: str, busy: Busy, work: Coroutine[Any, Any, None]) -> None:
        self._stop_watching(instance)
        task = asyncio.create_task(self._done_with(instance, work))
        self._work[instance] = (busy, task)

    async def _done_with(self, instance: str, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        finally:
            current = self._work.get(instance)
            if current is not None and current[1] is asyncio.current_task():
                del self._work[instance]
                self._wake.set()

    def _forget_absent(self) -> None:
        """Drops what was known of instances that two passes in a row neither wanted nor found."""
        absent = self._board.instances() | self._troubles.keys() | self._remembered.ready_at().keys()
        absent -= {*(self._wanted or ()), *self._running, *self._work}
        told = self._board.instances() | self._troubles.keys()
        for instance in absent & self._absent:
            self._forget(instance)
            if instance in told:
                self._showing.gone(instance)
        self._absent = absent

    def _forget(self, instance: str) -> None:
        self._stop_watching(instance)
        self._troubles.pop(instance, None)
        self._failing.pop(instance, None)
        self._remembered.forget(instance)

    async def _start(self, step: Start) -> None:
        workload = step.workload
        outcome = await self._acts.start(step, self._troubles.get(workload.id))
        if isinstance(outcome, Trouble):
            self._troubles[workload.id] = outcome
            return
        self._troubles.pop(workload.id, None)
        self._failing.pop(workload.id, None)
        self._keep(outcome, workload)

    async def _end(self, step: End) -> None:
        await self._acts.end(step)

    async def _stop(self, step: Stop, current: tuple[Busy, asyncio.Task[None]] | None) -> None:
        if current is not None:
            current[1].cancel()
            await asyncio.wait([current[1]])
        wanted = (self._wanted or {}).get(step.id)
        workload = wanted.workload if wanted is not None else None
        unseen = workload.keepalive if workload is not None else step.drain
        epoch = self._board.get(step.id).epoch
        if not await self._acts.stop(step, self._running.get(step.id), unseen):
            return
        self._forget(step.id)
        wanted = (self._wanted or {}).get(step.id)
        if wanted is None or wanted.stop:
            self._showing.gone(step.id, wanted.epoch if wanted is not None else epoch)

    def _keep(self, running: Running, workload: Workload) -> None:
        """Watches it, unless that is done already: what is known of its health stays."""
        watched = self._watches.get(running.id)
        same = watched is not None and watched[0].started_at == running.started_at
        if watched is not None and same and not _is_broken(watched[1]):
            self._showing.kept(running, workload.epoch)
            return
        self._stop_watching(running.id)
        before = self._remembered.of_run(running.id, running.started_at)
        self._showing.started(running, workload.epoch, before)
        tell = partial(self._show_health, running, workload)
        watch = Watch(running, workload, self._means, tell, before)
        task = asyncio.create_task(watch.run())
        task.add_done_callback(partial(_say_broken, running.id))
        self._watches[running.id] = (running, task)

    def _leave(self, running: Running, epoch: int) -> None:
        """Goes on watching what was watched; of any other run, what is remembered of it is shown."""
        watched = self._watches.get(running.id)
        if watched is not None and watched[0].started_at == running.started_at:
            self._showing.kept(running, epoch)
        else:
            self._showing.started(running, epoch, self._remembered.of_run(running.id, running.started_at))

    def _show_health(self, running: Running, workload: Workload, health: Health) -> None:
        before, now = self._remembered.of_run(running.id, running.started_at), self._clock()
        if health.ready and before is None:
            about = {"easel.instance": running.id}
            self._traces.record("agent.ready", workload.traceparent, running.started_at, now, about)
        readiness = replace(before, ready=health.ready) if before is not None else None
        if readiness is None and health.ready:
            phases = self._showing.started_up(running.id)
            readiness = Readiness(running.started_at, now, True, phases)
        self._showing.health(running, health, readiness)
        if readiness is not None:
            self._remembered.keep(running.id, readiness)
        if health.condemned and health.finding is not None:
            self._failing[running.id] = Failing(running.started_at, health.finding)
            self._wake.set()
        else:
            self._failing.pop(running.id, None)

    def _adopt_unasked(self) -> None:
        """Before the first word of what is wanted: what runs is shown, and nothing is touched."""
        for running in self._running.values():
            if running.exit is not None:
                self._showing.found_ended(running)
            else:
                before = self._remembered.of_run(running.id, running.started_at)
                self._showing.started(running, running.epoch, before)

    async def _hear_exits(self) -> None:
        async for instance in self._runtime.exits():
            if instance in self._watches:
                self._stop_watching(instance)
                self._showing.program_ended(instance)
            self._wake.set()

    def _stop_watching(self, instance: str) -> None:
        watch = self._watches.pop(instance, None)
        if watch is not None:
            watch[1].cancel()

    async def _let_go(self) -> None:
        tasks = [task for _, task in (*self._work.values(), *self._watches.values())]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)


def _is_broken(watch: asyncio.Task[None]) -> bool:
    """One that ended by itself has nothing more to see."""
    return watch.done() and not watch.cancelled() and watch.exception() is not None


def _say_broken(instance: str, watch: asyncio.Task[None]) -> None:
    if _is_broken(watch):
        log.error("watching an instance broke", extra={"instance": instance}, exc_info=watch.exception())
