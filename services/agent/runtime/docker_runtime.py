"""Instances as containers of a Docker Engine. The labels of the containers are all that is remembered."""

import asyncio
import logging
import math
import threading
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from socket import socket
from typing import Any

from libs.domain.errors import NotFound, Unavailable
from libs.domain.states import Runtime as RuntimeName
from services.agent.runtime.docker_containers import Containers
from services.agent.runtime.docker_create import Creator, name_of, remove, remove_volumes
from services.agent.runtime.docker_engine import APIError, Engine, EngineNotFound
from services.agent.runtime.docker_inside import Within
from services.agent.runtime.docker_logs import read_log
from services.agent.runtime.docker_preparation import Preparation, Prepared
from services.agent.runtime.docker_refusals import refusal_of
from services.agent.runtime.docker_requirements import Unreadable, content_of
from services.agent.runtime.docker_spec import INSTANCE, NODE
from services.agent.runtime.docker_usage import Meter
from services.agent.runtime.port import (
    Activity,
    Attempt,
    Executed,
    Finding,
    Phase,
    Running,
    StartFailed,
    Told,
    Use,
)
from services.agent.runtime.sockets import accepts, stays_open
from services.agent.storage.node_storage import NodeStorage
from services.agent.workload import Workload

log = logging.getLogger(__name__)

_WITHOUT_SIGTERM = timedelta(seconds=1)
_IMAGES_KEPT = 15.0
_RECONNECT = 1.0
_LINES_KEPT = 500


@dataclass(frozen=True)
class DockerSettings:
    """Which engine, and how its containers are reached."""

    node: str
    address: str
    publish: str
    host: str = ""
    network: str = ""
    # What the agent was started with: how the installer of requirements reaches packages.
    agent_environment: Mapping[str, str] = field(default_factory=dict, repr=False)


class DockerRuntime:
    """See `Runtime`. The engine holds CPU, memory and shared memory to their bounds."""

    name = RuntimeName.DOCKER

    def __init__(self, settings: DockerSettings, storage: NodeStorage | None = None) -> None:
        self._settings, self._storage, self._engine = settings, storage, Engine(settings.host)
        self._preparation = Preparation(
            self._engine, settings.node, settings.agent_environment, settings.network
        )
        self._prepared: dict[str, Prepared] = {}
        self._creator = Creator(settings.node, settings.publish, settings.network)
        self._exits: asyncio.Queue[str] = asyncio.Queue()
        self._listener: threading.Thread | None = None
        self._within, self._meter = Within(self._engine), Meter(self._engine)
        self._containers = Containers(self._engine, settings.node, settings.address, settings.network)
        # The last words of the run before the present one.
        self._previous: dict[str, bytes] = {}
        self._images: tuple[float, tuple[str, ...]] = (-_IMAGES_KEPT, ())

    async def instances(self) -> Sequence[Running]:
        return await self._containers.all()

    async def prepare(self, workload: Workload, phase: Phase) -> None:
        if self._storage is not None:
            await self._storage.ensure(workload, phase)
        self._prepared[workload.id] = await self._preparation.prepare(workload, phase)

    async def ensure_running(self, workload: Workload, attempt: Attempt) -> Running:
        prepared = self._prepared.get(workload.id, Prepared())
        existing = await self._containers.find(workload.id)
        if existing is not None and existing.exit is None:
            return existing
        try:
            if existing is not None:
                await self._engine.ask(partial(self._replace, workload.id))
            await self._engine.tell(partial(self._start, workload, attempt, prepared))
        except APIError as refused:
            raise refusal_of(workload, str(refused.explanation or refused)) from refused
        running = await self._containers.find(workload.id)
        if running is None:
            raise StartFailed("its container vanished while it was started")
        return running

    async def ensure_ended(self, instance: str, grace: timedelta, sigterm: bool) -> None:
        patience = math.ceil((grace if sigterm else min(grace, _WITHOUT_SIGTERM)).total_seconds())
        with suppress(EngineNotFound):
            await self._engine.ask(lambda api: api.stop(name_of(instance), timeout=patience))

    async def ensure_absent(self, instance: str, grace: timedelta, sigterm: bool) -> None:
        await self.ensure_ended(instance, grace, sigterm)
        await self._engine.ask(partial(remove, name=name_of(instance)))
        await self._engine.ask(partial(remove_volumes, instance=instance))
        self._containers.forget(instance)
        self._previous.pop(instance, None)
        self._prepared.pop(instance, None)
        if self._storage is not None:
            await self._storage.release(instance)

    async def listening(self, running: Running) -> bool:
        inside = self._containers.inside(running.id)
        if inside is not None:
            try:
                return await accepts(*inside, unreachable=TimeoutError)
            except TimeoutError:
                pass
        return await stays_open(running.address, running.port)

    async def logs(self, instance: str, tail: int, follow: bool) -> AsyncIterator[bytes]:
        name = name_of(instance)
        try:
            await self._engine.ask(lambda api: api.inspect_container(name))
        except EngineNotFound:
            raise NotFound(f"no instance {instance} on this node") from None
        if before := self._previous.get(instance):
            yield b"".join(before.splitlines(keepends=True)[-tail:])
        async for part in read_log(self._engine, name, tail, follow):
            yield part

    async def exits(self) -> AsyncIterator[str]:
        if self._listener is None:
            loop = asyncio.get_running_loop()
            self._listener = threading.Thread(target=self._hear, args=(loop,), daemon=True)
            self._listener.start()
        while True:
            yield await self._exits.get()

    async def explain(self, running: Running) -> Finding | None:
        return await self._within.explain(name_of(running.id))

    async def connections(self, running: Running) -> int | None:
        return await self._within.connections(name_of(running.id))

    async def execute(self, running: Running, command: Sequence[str], within: timedelta) -> Executed:
        return await self._within.execute(name_of(running.id), command, within)

    async def reach(self, running: Running, port: int) -> tuple[str, int]:
        return await self._within.address(name_of(running.id)) or running.address, port

    async def activity(self, running: Running) -> Activity | None:
        return await self._within.activity(name_of(running.id))

    async def usage(self, running: Sequence[Running]) -> Mapping[str, Use]:
        known = ((each.id, self._containers.id_of(each.id)) for each in running)
        return await self._meter.use_of({instance: container for instance, container in known if container})

    async def node_address(self) -> str:
        return await self._within.node_address(self._settings.network)

    async def open_loopback(self, running: Running, port: int) -> Sequence[socket]:
        return await self._within.open_loopback(name_of(running.id), port)

    async def owner_of(self, peer: tuple[str, int], port: int, among: Sequence[Running]) -> str | None:
        return None

    async def images(self) -> Sequence[str]:
        if time.monotonic() - self._images[0] > _IMAGES_KEPT:
            # Noted first: an engine that hangs is not asked again and again.
            self._images = (time.monotonic(), self._images[1])
            found = await self._engine.ask(lambda api: api.images())
            names = sorted({tag for image in found for tag in image.get("RepoTags") or ()})
            self._images = (time.monotonic(), tuple(name for name in names if name != "<none>:<none>"))
        return self._images[1]

    async def ensure_image(self, image: str, login: tuple[str, str] | None, told: Told) -> None:
        await self._preparation.pulls.ensure(image, login, told)
        self._images = (-_IMAGES_KEPT, self._images[1])

    async def tidy(self) -> None:
        await self._preparation.tidy()

    async def remove_shared(self) -> None:
        await self._preparation.remove_unused()

    async def read(self, workload: Workload, path: str, longest: int) -> bytes:
        try:
            return await self._engine.ask(partial(content_of, name_of(workload.id), path, longest=longest))
        except EngineNotFound as missing:
            raise FileNotFoundError(f"{path} is not there") from missing
        except Unreadable as refused:
            raise OSError(str(refused)) from refused

    @property
    def remembered_ends(self) -> int:
        """How many ends were heard of that the engine's list has not shown yet."""
        return self._containers.remembered_ends

    async def close(self) -> None:
        await asyncio.to_thread(self._engine.close)

    def _start(self, workload: Workload, attempt: Attempt, prepared: Prepared, api: Any) -> None:
        """In its own thread, which goes on when the caller is cancelled."""
        with self._containers.starting(workload.id):
            self._creator.start(workload, attempt, prepared, api)

    def _replace(self, instance: str, api: Any) -> None:
        """Removes an ended run. What it said last is kept, for those who ask why it ended."""
        name = name_of(instance)
        with suppress(EngineNotFound):
            self._previous[instance] = api.logs(name, tail=_LINES_KEPT)
        remove(api, name)

    def _hear(self, loop: asyncio.AbstractEventLoop) -> None:
        """Until closed. After each new beginning some ends may have been missed, and that is said."""
        filters = {"type": "container", "event": "die", "label": f"{NODE}={self._settings.node}"}
        while not self._engine.closed.is_set():
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(self._exits.put_nowait, "")
            try:
                for event in self._engine.stream(lambda api: api.events(decode=True, filters=filters)):
                    self._containers.heard_end(event["Actor"]["ID"])
                    instance = event["Actor"]["Attributes"].get(INSTANCE, "")
                    loop.call_soon_threadsafe(self._exits.put_nowait, instance)
            except (APIError, Unavailable, RuntimeError) as ended:
                log.debug("the engine's events ended", extra={"why": str(ended)})
            self._engine.closed.wait(_RECONNECT)
