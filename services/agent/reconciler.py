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
from libs.domain.states import InstanceState
from libs.telemetry.traces import Traces
from services.agent.board import Board, Status
from services.agent.plan import Busy, Hold, Observed, Plan, Start, Stop, Trouble, Wanted, plan_node
from services.agent.readiness import watch_readiness
from services.agent.reporting import Reporting
from services.agent.runtime.port import Attempt, Progress, PullFailed, Running, Runtime, StartFailed
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
        self, runtime: Runtime, board: Board, traces: Traces, clock: Callable[[], datetime] = utc_now
    ) -> None:
        self._runtime, self._board, self._traces, self._clock = runtime, board, traces, clock
        self._wanted: Mapping[str, Wanted] | None = None
        self._running: dict[str, Running] = {}
        self._troubles: dict[str, Trouble] = {}
        self._work: dict[str, tuple[Busy, asyncio.Task[None]]] = {}
        self._probes: dict[str, tuple[Running, asyncio.Task[None]]] = {}
        self._absent: set[str] = set()
        self._wake = asyncio.Event()
        # Set once what runs has been seen: before that, nothing true can be said about this node.
        self.observed = asyncio.Event()

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
                    with suppress(TimeoutError):
                        await asyncio.wait_for(self._wake.wait(), max(wait.total_seconds(), SHORTEST_WAIT))
            finally:
                await self._let_go()

    async def reconcile(self) -> timedelta:
        """One pass; how long nothing needs to be done unless something happens. Raises Unavailable."""
        self._running = {running.id: running for running in await self._runtime.instances()}
        self.observed.set()
        if self._wanted is None:
            self._adopt_unasked()
            return RESYNC_EVERY
        busy = {instance: busy for instance, (busy, _) in self._work.items()}
        now = self._clock()
        plan = plan_node(Observed(self._wanted, self._running, self._troubles, busy), now)
        self._carry_out(plan)
        self._forget_absent()
        if plan.why:
            log.info("node reconciled", extra={"why": plan.why})
        due = plan.next_due()
        return min(RESYNC_EVERY, due - now) if due is not None else RESYNC_EVERY

    def _carry_out(self, plan: Plan) -> None:
        for keep in plan.keep:
            self._show_running(keep.running, keep.workload)
        for hold in plan.hold:
            self._show_held(hold)
        for stop in plan.stop:
            self._work_on(stop.id, Busy(stopping=True), self._stop(stop, self._work.get(stop.id)))
        for start in plan.start:
            workload = start.workload
            self._work_on(workload.id, Busy(stopping=False, spec_hash=workload.spec_hash), self._start(start))
        for instance in plan.gone:
            self._board.put_gone(instance, (self._wanted or {})[instance].epoch)

    def _work_on(self, instance: str, busy: Busy, work: Coroutine[Any, Any, None]) -> None:
        self._stop_probe(instance)
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
        absent = self._board.instances() | self._troubles.keys()
        absent -= {*(self._wanted or ()), *self._running, *self._work}
        for instance in absent & self._absent:
            self._troubles.pop(instance, None)
            self._stop_probe(instance)
            self._board.put_gone(instance, self._board.get(instance).epoch)
        self._absent = absent

    async def _start(self, step: Start) -> None:
        workload, about = step.workload, {"easel.instance": step.workload.id}
        phase = Reporting(
            partial(self._show_phase, workload, step.attempt), partial(self._show_progress, workload.id)
        )
        try:
            phase(InstanceState.PREPARING if workload.prepares else InstanceState.STARTING, step.why)
            with self._traces.span("agent.prepare", workload.traceparent, about):
                await self._runtime.prepare(workload, phase)
            phase(InstanceState.STARTING, step.why)
            with self._traces.span("agent.start", workload.traceparent, about):
                running = await self._runtime.ensure_running(workload, step.attempt)
        except EaselError as refused:
            self._show_trouble(workload, refused)
        except Exception as broken:
            log.exception("starting an instance broke", extra={"instance": workload.id})
            self._show_trouble(workload, StartFailed(f"could not start: {broken!r}"))
        else:
            self._troubles.pop(workload.id, None)
            self._show_running(running, workload)
        finally:
            phase.close()

    async def _stop(self, step: Stop, current: tuple[Busy, asyncio.Task[None]] | None) -> None:
        if current is not None:
            current[1].cancel()
            await asyncio.wait([current[1]])
        status = self._board.get(step.id)
        self._board.put(replace(status, state=InstanceState.TERMINATING, ready=False, why=step.why))
        try:
            await self._runtime.ensure_absent(step.id, step.grace, step.sigterm)
        except Exception as refused:
            facts, bug = {"instance": step.id, "why": str(refused)}, not isinstance(refused, EaselError)
            log.warning("could not stop instance", extra=facts, exc_info=bug)
            await asyncio.sleep(1)
            return
        self._troubles.pop(step.id, None)
        log.info("instance stopped", extra={"instance": step.id, "why": step.why})
        wanted = (self._wanted or {}).get(step.id)
        if wanted is None or wanted.stop:
            self._board.put_gone(step.id, wanted.epoch if wanted is not None else status.epoch)

    def _show_phase(self, workload: Workload, attempt: Attempt, state: InstanceState, why: str) -> None:
        before = self._board.get(workload.id)
        self._board.put(
            Status(
                id=workload.id,
                epoch=workload.epoch,
                state=state,
                why=why,
                restarts=attempt.restarts,
                last_exit=before.last_exit,
                spec_hash=workload.spec_hash,
            )
        )

    def _show_progress(self, instance: str, progress: Progress) -> None:
        self._board.put(replace(self._board.get(instance), progress=progress))

    def _show_trouble(self, workload: Workload, refused: EaselError) -> None:
        before = self._troubles.get(workload.id)
        again = before is not None and before.spec_hash == workload.spec_hash
        pull = isinstance(refused, PullFailed)
        self._troubles[workload.id] = Trouble(
            at=self._clock(),
            why=str(refused),
            state=InstanceState.IMAGE_PULL_BACK_OFF if pull else InstanceState.CRASH_LOOP_BACK_OFF,
            spec_hash=workload.spec_hash,
            streak=before.streak + 1 if before is not None and again else 1,
        )
        log.warning("instance did not start", extra={"instance": workload.id, "why": str(refused)})

    def _show_held(self, hold: Hold) -> None:
        self._stop_probe(hold.id)
        wanted = (self._wanted or {})[hold.id]
        self._board.put(
            Status(
                id=hold.id,
                epoch=wanted.epoch,
                state=hold.state,
                why=hold.why,
                restarts=hold.restarts,
                last_exit=hold.last_exit or self._board.get(hold.id).last_exit,
                spec_hash=wanted.spec_hash,
            )
        )

    def _show_running(self, running: Running, workload: Workload | None = None) -> None:
        """Keeps what is known of its readiness, unless it is another run than the one known."""
        before = self._board.get(running.id)
        known = running.id in self._probes and self._probes[running.id][0].started_at == running.started_at
        status = Status(
            id=running.id,
            epoch=workload.epoch if workload is not None else running.epoch,
            state=before.state if known else running.phase,
            why=before.why if known else "",
            ready=before.ready and known,
            address=running.address,
            port=running.port,
            restarts=running.attempt.restarts,
            last_exit=before.last_exit,
            started_at=running.started_at,
            ready_at=before.ready_at if known else None,
            spec_hash=running.spec_hash,
        )
        self._board.put(status)
        if not known:
            self._stop_probe(running.id)
            tell = partial(self._show_ready, running, workload)
            explain = partial(self._show_why, running.id)
            probe = asyncio.create_task(watch_readiness(running, self._runtime, tell, explain))
            self._probes[running.id] = (running, probe)

    def _show_ready(self, running: Running, workload: Workload | None, ready: bool) -> None:
        status, now = self._board.get(running.id), self._clock()
        if ready and status.ready_at is None and workload is not None:
            parent = workload.traceparent
            self._traces.record(
                "agent.ready", parent, running.started_at, now, {"easel.instance": running.id}
            )
        why = "" if ready else f"port {running.port} stopped taking connections"
        self._board.put(
            replace(
                status,
                state=InstanceState.RUNNING,
                ready=ready,
                why=why,
                ready_at=status.ready_at or now if ready else status.ready_at,
            )
        )

    def _show_why(self, instance: str, why: str) -> None:
        self._board.put(replace(self._board.get(instance), why=why))

    def _adopt_unasked(self) -> None:
        """Before the first word of what is wanted: what runs is shown, and nothing is touched."""
        for running in self._running.values():
            if running.exit is None:
                self._show_running(running)
                continue
            self._stop_probe(running.id)
            self._board.put(
                Status(
                    id=running.id,
                    epoch=running.epoch,
                    state=InstanceState.CRASH_LOOP_BACK_OFF,
                    why=running.exit.why,
                    last_exit=running.exit.why,
                    restarts=running.attempt.restarts,
                    spec_hash=running.spec_hash,
                )
            )

    async def _hear_exits(self) -> None:
        async for instance in self._runtime.exits():
            probe = self._probes.get(instance)
            if probe is not None:
                self._stop_probe(instance)
                status = self._board.get(instance)
                self._board.put(replace(status, ready=False, why="its program ended"))
            self._wake.set()

    def _stop_probe(self, instance: str) -> None:
        probe = self._probes.pop(instance, None)
        if probe is not None:
            probe[1].cancel()

    async def _let_go(self) -> None:
        tasks = [task for _, task in (*self._work.values(), *self._probes.values())]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
