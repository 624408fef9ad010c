"""Brings every service to what is wanted of it. Level-triggered: a change only wakes it early."""

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from libs.db.changes import Changes
from libs.domain.errors import EaselError
from libs.domain.records import Instance, Node, Service
from libs.domain.states import InstanceState
from services.scheduler.ledger import Ledger
from services.scheduler.reconcile.placing import Placer
from services.scheduler.reconcile.turn import Lagging, Turn
from services.scheduler.world import World

log = logging.getLogger(__name__)

# How often a drain is looked at while one is under way.
_DRAIN_LOOK = timedelta(milliseconds=200)
_RETRY = timedelta(seconds=1)
# Services a turn takes at most, so that one commit stays short.
_BATCH = 200


class Reconciler:
    """Safe to run at any time, repeatedly; one runs per scheduler."""

    def __init__(
        self,
        ledger: Ledger,
        lagging: Lagging,
        clock: Callable[[], datetime],
        ack_timeout: timedelta,
        resync_every: timedelta,
    ) -> None:
        self._ledger, self._lagging, self._clock = ledger, lagging, clock
        self._ack_timeout, self._resync_every = ack_timeout, resync_every
        self._placer = Placer(ledger.world)
        self._dirty: set[str] = set()
        self._wake = asyncio.Event()
        ledger.subscribe(self._placer.heard)
        ledger.subscribe(self._heard)

    async def run(self, until: asyncio.Event) -> None:
        stopped = asyncio.create_task(until.wait())
        try:
            while not until.is_set():
                await self._pass()
                woken = asyncio.create_task(self._wake.wait())
                await asyncio.wait(
                    (woken, stopped), timeout=self._patience(), return_when=asyncio.FIRST_COMPLETED
                )
                if not woken.done():
                    woken.cancel()
                    self._dirty |= set(self._ledger.world.services)
        finally:
            stopped.cancel()

    async def reconcile(self, names: list[str]) -> Changes:
        """One turn over these services."""
        drafted: list[Changes] = []

        def decide(world: World) -> Changes:
            turn = Turn(world, self._placer, self._lagging, self._ack_timeout, self._clock())
            drafted.append(turn.changes(names))
            return drafted[-1]

        try:
            return await self._ledger.change(decide)
        except Exception:
            for changes in drafted:
                self._placer.undo(
                    i for i in changes.put if isinstance(i, Instance) and i.state is InstanceState.SCHEDULED
                )
            raise

    async def _pass(self) -> None:
        self._wake.clear()
        names = sorted(self._dirty)
        self._dirty.clear()
        for start in range(0, len(names), _BATCH):
            batch = names[start : start + _BATCH]
            try:
                await self.reconcile(batch)
            except EaselError as trouble:
                log.warning("a turn was not stored and will be repeated", extra={"why": str(trouble)})
                await self._later(batch)
            except Exception:
                log.exception("a turn failed and will be repeated", extra={"services": len(batch)})
                await self._later(batch)

    async def _later(self, names: list[str]) -> None:
        self._dirty |= set(names)
        self._wake.set()
        await asyncio.sleep(_RETRY.total_seconds())

    def _patience(self) -> float:
        draining = any(
            i.state is InstanceState.TERMINATING and not i.stopping
            for i in self._ledger.world.instances.values()
        )
        return (_DRAIN_LOOK if draining else self._resync_every).total_seconds()

    def _heard(self, changes: Changes) -> None:
        for record in (*changes.put, *changes.delete):
            match record:
                case Service():
                    self._dirty.add(record.name)
                case Instance():
                    self._dirty.add(record.service)
                    if record in changes.delete:
                        self._room_may_have_come()
                case Node():
                    self._node_changed(record)
        if self._dirty:
            self._wake.set()

    def _node_changed(self, node: Node) -> None:
        self._dirty |= {i.service for i in self._ledger.world.instances_on(node.name)}
        self._room_may_have_come()

    def _room_may_have_come(self) -> None:
        self._dirty |= {
            i.service for i in self._ledger.world.instances.values() if i.state is InstanceState.PENDING
        }
