"""Keeps every registry at what it should say of this gateway."""

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping
from datetime import timedelta
from typing import Protocol

from libs.lifecycle import pause
from services.gateway.registry.plan import wanted
from services.gateway.registry.port import Entry, Place, Registry, Target
from services.gateway.registry.writer import Writer
from services.gateway.routes import Service

log = logging.getLogger(__name__)


def _nacos(target: Target) -> Registry:
    # Loaded where it is used: most gateways write into no registry.
    from services.gateway.registry.nacos import Nacos

    return Nacos(target)


# A further kind of registry is one more line.
KINDS: Mapping[str, Callable[[Target], Registry]] = {"nacos": _nacos}

# Nacos expects a beat this often, and forgives two that are missed.
RENEW_EVERY = timedelta(seconds=5)
_GLANCE = timedelta(milliseconds=250)
_FAREWELL = timedelta(seconds=5)


class Known(Protocol):
    """What the gateway knows; `sequence` grows with every change of it."""

    @property
    def services(self) -> Mapping[str, Service]: ...

    @property
    def sequence(self) -> int: ...


class Registrar:
    """Writes the gateway's `own` addresses where services are to be registered; takes them out at the end."""

    def __init__(
        self, known: Known, own: Collection[tuple[str, int]], renew_every: timedelta = RENEW_EVERY
    ) -> None:
        self._known, self._own, self._renew_every = known, own, renew_every
        self._wanted: dict[Target, dict[Place, Entry]] = {}

    async def run(self, until: asyncio.Event) -> None:
        """Works where something changed or is due, in each registry by itself, until stopped."""
        seen, at_work = -1, dict[Target, asyncio.Task[None]]()
        async with asyncio.TaskGroup() as tasks:
            while not until.is_set():
                if self._known.sequence != seen:
                    seen = self._known.sequence
                    self._wanted = self._writable(wanted(self._known.services.values(), self._own))
                for target in self._wanted:
                    if target not in at_work or at_work[target].done():
                        at_work[target] = tasks.create_task(self._keep(target, until))
                await pause(until, _GLANCE)

    def _writable(self, found: dict[Target, dict[Place, Entry]]) -> dict[Target, dict[Place, Entry]]:
        for target in found.keys() - self._wanted.keys():
            if target.kind not in KINDS:
                log.error("no registry of this kind can be written", extra={"kind": target.kind})
        return {target: entries for target, entries in found.items() if target.kind in KINDS}

    async def _keep(self, target: Target, until: asyncio.Event) -> None:
        writer = Writer(target.url, KINDS[target.kind](target), self._renew_every)
        try:
            while not until.is_set():
                await writer.reconcile(self._wanted.get(target, {}))
                if target not in self._wanted and writer.empty:
                    return
                await pause(until, _GLANCE)
            async with asyncio.timeout(_FAREWELL.total_seconds()):
                await writer.farewell()
        except TimeoutError:
            log.warning(
                "entries are left to expire", extra={"registry": target.url, "why": "too slow an end"}
            )
        finally:
            await writer.close()
