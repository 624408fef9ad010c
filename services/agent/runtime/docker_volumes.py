"""Volumes that instances share: filled once, complete or not there, and removed when nobody uses them.

The engine is all that is remembered: a volume is complete as soon as an empty one beside it says so, since
neither the name nor the labels of a volume can be changed.
"""

import asyncio
import hashlib
import logging
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, TypeAlias

from libs.domain.states import InstanceState
from services.agent.runtime.docker_engine import Engine, EngineNotFound
from services.agent.runtime.port import Phase

log = logging.getLogger(__name__)

SHARED = "easel.shared"
HELPER = "easel.helper"
COMPLETE = "easel.complete"
UNUSED_AFTER = 24 * 3600.0

Fill: TypeAlias = Callable[[str, Phase], Awaitable[None]]


def volume_name(kind: str, node: str, *parts: str) -> str:
    """The one for this content on this node."""
    digest = hashlib.sha256("\0".join((node, *parts)).encode()).hexdigest()[:24]
    return f"easel-{kind}-{digest}"


class SharedVolumes:
    """The shared volumes of one node."""

    def __init__(
        self,
        engine: Engine,
        node: str,
        unused_after: float = UNUSED_AFTER,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._engine, self._node, self._unused_after, self._clock = engine, node, unused_after, clock
        self._turns: dict[str, asyncio.Lock] = {}
        self._used: dict[str, float] = {}
        self._choirs: dict[str, _Chorus] = {}

    async def ensure(self, name: str, phase: Phase, fill: Fill) -> None:
        """Has the volume there and complete; `fill` is given an empty one, one caller at a time.

        All who wait for it hear how it is filled.
        """
        self._used[name] = self._clock()
        chorus = self._choirs.setdefault(name, _Chorus())
        with chorus.joined(phase):
            async with self._turns.setdefault(name, asyncio.Lock()):
                if not await self._is_complete(name):
                    with chorus.performing():
                        await self._made(name, partial(fill, name, chorus))
        self._used[name] = self._clock()

    async def _made(self, name: str, fill: Callable[[], Awaitable[None]]) -> None:
        # One that an agent did not live to fill is begun anew.
        await self._engine.ask(partial(_remove, name=name))
        await self._make(name, {SHARED: self._node})
        try:
            await fill()
        except BaseException:
            await asyncio.shield(self._engine.ask(partial(_remove, name=name)))
            raise
        await self._make(_mark(name), {SHARED: self._node, COMPLETE: name})

    async def tidy(self) -> None:
        """Removes what no container has used for a while. Raises Unavailable."""
        now = self._clock()
        found = await self._named({"label": [f"{SHARED}={self._node}"]})
        names = {name for name in found if not name.endswith(_MARK)}
        idle = await self._named({"label": [f"{SHARED}={self._node}"], "dangling": ["true"]})
        for name in names:
            # A volume is first seen when the agent starts: what was before that is not known.
            if name not in idle:
                self._used[name] = now
            if now - self._used.setdefault(name, now) >= self._unused_after:
                await self._drop(name)

    async def remove_unused(self) -> None:
        """Removes what no container uses now. Raises Unavailable."""
        label = f"{SHARED}={self._node}"
        found = await self._named({"label": [label]})
        idle = await self._named({"label": [label], "dangling": ["true"]})
        for name in {each.removesuffix(_MARK) for each in idle} - (found - idle):
            await self._drop(name)

    async def _drop(self, name: str) -> None:
        turn = self._turns.setdefault(name, asyncio.Lock())
        if turn.locked():
            return
        async with turn:
            for each in (_mark(name), name):
                await self._engine.ask(partial(_remove, name=each))
            self._used.pop(name, None)
        log.info("a shared volume was removed", extra={"volume": name, "why": "no instance uses it"})

    async def _named(self, filters: dict[str, list[str]]) -> set[str]:
        found = await self._engine.ask(lambda api: api.volumes(filters=filters)["Volumes"] or ())
        return {volume["Name"] for volume in found}

    async def _is_complete(self, name: str) -> bool:
        try:
            await self._engine.ask(lambda api: api.inspect_volume(_mark(name)))
            await self._engine.ask(lambda api: api.inspect_volume(name))
        except EngineNotFound:
            return False
        return True

    async def _make(self, name: str, labels: dict[str, str]) -> None:
        await self._engine.ask(lambda api: api.create_volume(name, driver="local", labels=labels))


class _Chorus:
    """A `Phase` of all that wait for the same. Who comes later is told what is done just now."""

    def __init__(self) -> None:
        self._waiting: list[Phase] = []
        self._now: tuple[InstanceState, str] | None = None

    @contextmanager
    def joined(self, phase: Phase) -> Iterator[None]:
        self._waiting.append(phase)
        if self._now is not None:
            phase(*self._now)
        try:
            yield
        finally:
            self._waiting.remove(phase)

    @contextmanager
    def performing(self) -> Iterator[None]:
        try:
            yield
        finally:
            self._now = None

    def __call__(self, state: InstanceState, why: str) -> None:
        self._now = state, why
        for phase in tuple(self._waiting):
            phase(state, why)

    def progress(self, what: str, done_bytes: int, total_bytes: int = 0) -> None:
        for phase in tuple(self._waiting):
            phase.progress(what, done_bytes, total_bytes)

    def moved(self) -> None:
        for phase in tuple(self._waiting):
            phase.moved()


_MARK = ".complete"


def _mark(name: str) -> str:
    return name + _MARK


def _remove(api: Any, name: str) -> None:
    with suppress(EngineNotFound):
        api.remove_volume(name, force=True)


class Helpers:
    """Containers that do some work for an instance before it starts, and are then removed."""

    def __init__(self, engine: Engine, node: str) -> None:
        self._engine, self._node = engine, node
        self._present: set[str] = set()

    async def make(
        self,
        name: str,
        image: str,
        command: list[str],
        host_config: dict[str, Any] | None = None,
        **more: Any,
    ) -> None:
        """Creates one, in place of one that an earlier agent left. Raises APIError."""
        self._present.add(name)

        def create(api: Any) -> None:
            _remove_container(api, name)
            host = api.create_host_config(init=True, **(host_config or {}))
            api.create_container(
                image,
                name=name,
                entrypoint=command[:1],
                command=command[1:],
                labels={HELPER: self._node},
                host_config=host,
                **more,
            )

        await self._engine.tell(create)

    async def remove(self, name: str) -> None:
        """Whatever it is doing. Safe to repeat, and carried out also when the caller is cancelled."""
        await asyncio.shield(self._engine.ask(partial(_remove_container, name=name)))
        self._present.discard(name)

    async def tidy(self) -> None:
        """Removes those that an earlier agent left. Raises Unavailable."""
        label = f"{HELPER}={self._node}"
        found = await self._engine.ask(lambda api: api.containers(all=True, filters={"label": [label]}))
        for container in found:
            name = container["Names"][0].lstrip("/")
            if name not in self._present:
                await self.remove(name)


def _remove_container(api: Any, name: str) -> None:
    with suppress(EngineNotFound):
        api.remove_container(name, force=True, v=True)
