"""Watching one run of an instance: its port, its checks, its warm-up and whether it still comes up."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Protocol, TypeAlias

from libs.domain.causes import Cause
from libs.domain.errors import EaselError
from services.agent.backing_off import back_off, shown
from services.agent.health.answers import Check
from services.agent.health.asking import ask
from services.agent.health.remembered import Readiness
from services.agent.health.verdict import Health, Known, probe_of, recalled
from services.agent.runtime.port import Activity, Finding, Running, Runtime, WarmUpFailed
from services.agent.workload import Workload

FIRST_LOOK = 0.005
SLOWEST_LOOK = 0.2
READY_LOOK = 2.0
SLOW_ANSWERS_FORGIVEN = 2
EXPLAIN_AFTER, EXPLAIN_EVERY = 3.0, 10.0
# Models take their time to load; a program that listens nowhere is worth a word after this long.
SILENT_AFTER = 30.0


class WarmUpTold(Protocol):
    """Hears of a warm-up that is under way."""

    def doing(self, what: str) -> None:
        """What is done now."""
        ...

    def failing(self, why: str) -> None:
        """The answer that would make it fail, while it may yet be forgiven; empty when there is none."""
        ...


WarmUp: TypeAlias = Callable[[Workload, Running, WarmUpTold], Awaitable[None]]


@dataclass(frozen=True)
class Means:
    """What a watch works with. `stalled_after` is how long a start may go without a sign of life."""

    runtime: Runtime
    warm_up: WarmUp | None = None
    stalled_after: timedelta = timedelta(minutes=10)


class Watch:
    """Tells the health of one run whenever it changes, until cancelled."""

    def __init__(
        self,
        running: Running,
        workload: Workload,
        means: Means,
        tell: Callable[[Health], None],
        before: Readiness | None = None,
    ) -> None:
        """`before` is what an earlier agent knew of this run."""
        self._running, self._workload, self._means, self._tell = running, workload, means, tell
        warms_up = bool(workload.warm_up_path) and means.warm_up is not None
        self._known = Known(workload.probes, warm=not warms_up)
        if before is not None:
            self._known = recalled(workload.probes, ready=before.ready)
        self._told: Health | None = None
        # Set when something changed that makes an early look worth while.
        self._news = asyncio.Event()

    async def run(self) -> None:
        """Safe to cancel at any time."""
        self._learn(self._known)
        async with asyncio.TaskGroup() as looks:
            looks.create_task(self._listen())
            looks.create_task(self._stay_alive())
            if not self._known.warm:
                looks.create_task(self._warm_up())
            if probe_of(self._workload.probes, Check.STARTUP) is not None and not self._known.started:
                await self._check(Check.STARTUP)
            for check in (Check.LIVENESS, Check.READINESS):
                if probe_of(self._workload.probes, check) is not None:
                    looks.create_task(self._check(check))

    def _learn(self, known: Known) -> None:
        before, health = self._known, known.health()
        self._known = replace(known, was_ready=known.was_ready or health.ready)
        if (known.listening, known.passes) > (before.listening, before.passes):
            self._news.set()
        if health != self._told:
            self._told = health
            self._tell(health)

    async def _listen(self) -> None:
        """Looks often at first and less so later. A refusal counts at once; silence is forgiven twice."""
        running, slow, wait, waited = self._running, 0, FIRST_LOOK, 0.0
        if not running.listens:
            self._learn(self._known.heard(True, None))
            return
        explain_after = EXPLAIN_AFTER
        while True:
            try:
                listening = await self._means.runtime.listening(running)
                slow = 0
            except (OSError, EaselError):  # A timeout, no socket left to ask with, or no engine.
                slow += 1
                listening = self._known.listening and slow <= SLOW_ANSWERS_FORGIVEN
            if listening != self._known.listening:
                wait = FIRST_LOOK
                self._learn(self._known.heard(listening, self._lost()))
            if not listening and not self._known.was_ready and waited > explain_after:
                await self._explain(waited)
                explain_after = waited + EXPLAIN_EVERY
            await asyncio.sleep(READY_LOOK if listening else wait)
            waited += wait
            wait = min(SLOWEST_LOOK, wait * 1.3)

    def _lost(self) -> Finding:
        return Finding(Cause.NOT_LISTENING, f"port {self._running.port} stopped taking connections")

    async def _explain(self, waited: float) -> None:
        with suppress(EaselError, OSError):
            finding = await self._means.runtime.explain(self._running)
            if finding is not None and finding.cause is Cause.NOT_LISTENING and waited < SILENT_AFTER:
                finding = None
            self._learn(replace(self._known, unheard=finding))

    async def _check(self, check: Check) -> None:
        """Asks until cancelled; the startup check until it has passed once."""
        probe = probe_of(self._workload.probes, check)
        assert probe is not None  # noqa: S101
        # Not below 0, where the clock was set back since it started.
        age = max(0.0, (datetime.now(UTC) - self._running.started_at).total_seconds())
        await asyncio.sleep(max(0.0, probe.initial_delay_seconds - age))
        while True:
            answer = await ask(probe, self._running, self._workload, self._means.runtime)
            if answer is not None:
                self._learn(self._known.answered(check, answer))
            if check is Check.STARTUP and self._known.started:
                return
            await self._wait(probe.period_seconds, early=check is not Check.LIVENESS)

    async def _wait(self, seconds: float, *, early: bool) -> None:
        """The time to the next look; cut short when there are news while it is not ready yet."""
        if not early or self._known.passes:
            await asyncio.sleep(seconds)
            return
        self._news.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._news.wait()

    async def _stay_alive(self) -> None:
        """Until it is ready, a program that does nothing at all for long has stalled."""
        patience = self._means.stalled_after.total_seconds()
        last: Activity | None = None
        moved = time.monotonic()
        while not (self._known.started and self._known.listening):
            await asyncio.sleep(patience / 10)
            now = await self._activity()
            if now is None or last is None or now.moved_since(last):
                moved = time.monotonic()
            elif time.monotonic() - moved >= patience:
                self._learn(replace(self._known, stalled=self._stalled()))
                return
            last = now

    async def _activity(self) -> Activity | None:
        try:
            return await self._means.runtime.activity(self._running)
        except (EaselError, OSError):
            return None

    def _stalled(self) -> Finding:
        minutes = self._means.stalled_after.total_seconds() / 60
        lacks = "listens on no port" if not self._known.listening else "its startup_check has not passed"
        why = (
            f"it {lacks} and showed no sign of life for {minutes:g} min: no CPU time, nothing read or written"
        )
        return Finding(Cause.START_STALLED, why)

    async def _warm_up(self) -> None:
        """Once a run, as soon as its checks pass; a failed one is tried again, more and more seldom."""
        warm_up, failures = self._means.warm_up, 0
        assert warm_up is not None  # noqa: S101
        while True:
            while not self._known.passes:
                self._news.clear()
                await self._news.wait()
            try:
                await warm_up(self._workload, self._running, self)
            except (EaselError, OSError) as failed:
                failures += 1
                cause = failed.cause if isinstance(failed, WarmUpFailed) else Cause.WARM_UP_FAILED
                wait = back_off(failures + 1)
                why = f"{failed}; trying again in {shown(wait)}"
                self._learn(replace(self._known, cold=Finding(cause, why), doing=""))
                await asyncio.sleep(wait.total_seconds())
            else:
                self._learn(replace(self._known, warm=True, cold=None, doing=""))
                return

    def doing(self, what: str) -> None:
        """See `WarmUpTold`."""
        self._learn(replace(self._known, doing=what))

    def failing(self, why: str) -> None:
        """See `WarmUpTold`."""
        cold = Finding(Cause.WARM_UP_FAILED, f"{why}; the warm-up goes on") if why else None
        self._learn(replace(self._known, cold=cold))
