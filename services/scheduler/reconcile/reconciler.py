"""Brings every service to what is wanted of it. Level-triggered: a change only wakes it early."""

import asyncio
import logging
import math
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from libs.db.changes import Changes, Record
from libs.domain.errors import Conflict, FailedPrecondition, Unavailable
from libs.domain.records import GpuFence, Instance, Node, Rollout, Service
from services.scheduler.ledger import Ledger, Work
from services.scheduler.reconcile.placing import Placer
from services.scheduler.reconcile.turn import Turn, UnroutedOf
from services.scheduler.reconcile.waiting import Waiting
from services.scheduler.world import World

log = logging.getLogger(__name__)

# How often a drain is looked at while one is under way.
_DRAIN_LOOK = timedelta(milliseconds=200)
_RETRY = timedelta(seconds=1)
# Services a turn takes at most, so that one commit stays short.
_BATCH = 200
# What a store refuses with when it is not the services' fault.
_AWAY = (Unavailable, Conflict, FailedPrecondition)


class Reconciler:
    """Safe to run at any time, repeatedly; one runs per scheduler."""

    def __init__(
        self,
        ledger: Ledger,
        unrouted: UnroutedOf,
        clock: Callable[[], datetime],
        ack_timeout: timedelta,
        resync_every: timedelta,
    ) -> None:
        self._ledger, self._unrouted, self._clock = ledger, unrouted, clock
        self._ack_timeout, self._resync_every = ack_timeout, resync_every
        self._placer = Placer(ledger.world)
        self._waiting = Waiting(ledger.world.instances.values(), ledger.world.rollouts.values())
        # What was left undone before this start is found at once.
        self._dirty = set(ledger.world.services)
        self._wake = asyncio.Event()
        self._outage = ""
        self.turns = Work()
        for listener in (self._placer.heard, self._waiting.heard, self._heard):
            ledger.subscribe(listener)

    @property
    def placer(self) -> Placer:
        """What places instances for every loop, so that none is given what another was."""
        return self._placer

    @property
    def pending(self) -> int:
        """How many instances have no node."""
        return self._waiting.pending

    def look_at(self, services: Iterable[str]) -> None:
        """These may need something that no change announces."""
        self._dirty |= set(services)
        if self._dirty:
            self._wake.set()

    async def run(self, until: asyncio.Event) -> None:
        """Reconciles what changed as it changes, what drains every 200 ms, and everything now and then."""
        clock = asyncio.get_running_loop().time
        stopped = asyncio.create_task(until.wait())
        resync_at = clock() + self._resync_every.total_seconds()
        try:
            while not until.is_set():
                if clock() >= resync_at:
                    self._dirty |= self._ledger.world.services.keys()
                    resync_at = clock() + self._resync_every.total_seconds()
                self._dirty |= self._waiting.for_gateways | self._waiting.batches_due(self._clock())
                pause = await self._pass(until)
                await self._woken(stopped, pause or min(self._next_look(), resync_at - clock()))
        finally:
            stopped.cancel()

    def _next_look(self) -> float:
        """In how many seconds something is due that no change announces."""
        if self._waiting.for_gateways:
            return _DRAIN_LOOK.total_seconds()
        at = self._waiting.next_batch()
        return math.inf if at is None else (at - self._clock()).total_seconds()

    async def reconcile(self, names: list[str]) -> Changes:
        """One turn over these services."""

        def decide(world: World) -> Changes:
            turn = Turn(world, self._placer, self._unrouted, self._ack_timeout, self._clock())
            with self.turns.counted():
                return turn.changes(names)

        try:
            return await self._ledger.change(decide)
        finally:
            self._placer.undo()

    async def _pass(self, until: asyncio.Event) -> float:
        """Takes every service that may need something; how many seconds to leave the database alone."""
        self._wake.clear()
        names, self._dirty = sorted(self._dirty), set()
        for start in range(0, len(names), _BATCH):
            if until.is_set():
                break
            try:
                await self._batch(names[start : start + _BATCH])
            except _AWAY as trouble:
                self._say(str(trouble))
                self._dirty |= set(names[start:])
                return _RETRY.total_seconds()
        self._say("")
        return 0.0

    async def _batch(self, names: list[str]) -> None:
        """One turn; a service that breaks it is left to the next resync, and the others have theirs."""
        try:
            await self.reconcile(names)
        except _AWAY:
            raise
        except Exception:
            if len(names) == 1:
                log.exception("a turn failed and will be repeated", extra={"service": names[0]})
                return
            for name in names:
                await self._batch([name])

    def _say(self, outage: str) -> None:
        """Says an outage once, however often it is met."""
        if outage and not self._outage:
            log.warning("a turn was not stored and will be repeated", extra={"why": outage})
        self._outage = outage

    async def _woken(self, stopped: "asyncio.Task[bool]", patience: float) -> None:
        woken = asyncio.create_task(self._wake.wait())
        either, patience = (woken, stopped), max(0.0, patience)
        try:
            await asyncio.wait(either, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
        finally:
            woken.cancel()

    def _heard(self, changes: Changes) -> None:
        for record in changes.put:
            self._look_at(record)
        for record in changes.delete:
            self._look_at(record)
            if isinstance(record, Instance):
                self._dirty |= self._waiting.for_room
        if self._dirty:
            self._wake.set()

    def _look_at(self, record: Record) -> None:
        match record:
            case Service():
                self._dirty.add(record.name)
            case Instance() | Rollout():
                self._dirty.add(record.service)
            case GpuFence():
                on_node = self._ledger.world.instances_on(record.node)
                self._dirty |= {i.service for i in on_node if record.uuid in i.gpu_uuids}
                self._dirty |= self._waiting.for_room
            case Node():
                self._dirty |= {i.service for i in self._ledger.world.instances_on(record.name)}
                self._dirty |= self._waiting.for_room
