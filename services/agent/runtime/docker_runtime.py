"""Instances as containers of a Docker Engine. The labels of the containers are all that is remembered."""

import asyncio
import logging
import math
import threading
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from socket import socket
from typing import Any

from libs.domain.errors import NotFound, Unavailable
from libs.domain.states import Runtime as RuntimeName
from services.agent.runtime.docker_create import Creator, name_of, remove, remove_volumes
from services.agent.runtime.docker_engine import APIError, Engine, EngineNotFound
from services.agent.runtime.docker_inside import Within
from services.agent.runtime.docker_logs import read_log
from services.agent.runtime.docker_preparation import Preparation, Prepared
from services.agent.runtime.docker_refusals import refusal_of
from services.agent.runtime.docker_requirements import Unreadable, content_of
from services.agent.runtime.docker_spec import (
    INSTANCE,
    NODE,
    TELLING,
    exit_from,
    running_from,
)
from services.agent.runtime.docker_usage import Meter
from services.agent.runtime.port import (
    Activity,
    Attempt,
    Executed,
    Exit,
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
# What the engine calls a container that was made and not started yet.
_MADE = "created"


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
        # The engine's id of the container of each instance.
        self._containers: dict[str, str] = {}
        self._inside: dict[str, tuple[str, int]] = {}
        self._died: set[str] = set()
        # The instances whose containers are being made and started right now.
        self._starting: set[str] = set()
        self._strange: set[str] = set()
        # The last words of the run before the present one.
        self._previous: dict[str, bytes] = {}
        self._images: tuple[float, tuple[str, ...]] = (-_IMAGES_KEPT, ())

    async def instances(self) -> Sequence[Running]:
        label = f"{NODE}={self._settings.node}"
        died = set(self._died)
        found = await self._engine.ask(lambda api: api.containers(all=True, filters={"label": [label]}))
        running = await asyncio.gather(*(self._running(container) for container in found))
        looked = {container["Id"]: each for container, each in zip(found, running, strict=True)}
        # Where a start was in the way, the list says nothing of how it went, and where its port is.
        made = {each["Id"]: each["Labels"].get(INSTANCE, "") for each in found if each["State"] == _MADE}
        while again := [each for each, instance in made.items() if instance not in self._starting]:
            for each in again:
                looked[each] = await self._find(made.pop(each))
        # Of those that the list shows as ended by now, or not at all, nothing more is to be remembered.
        self._died -= died - {container["Id"] for container in found if container["State"] != "exited"}
        return [each for each in looked.values() if each is not None]

    async def prepare(self, workload: Workload, phase: Phase) -> None:
        if self._storage is not None:
            await self._storage.ensure(workload, phase)
        self._prepared[workload.id] = await self._preparation.prepare(workload, phase)

    async def ensure_running(self, workload: Workload, attempt: Attempt) -> Running:
        prepared = self._prepared.get(workload.id, Prepared())
        existing = await self._find(workload.id)
        if existing is not None and existing.exit is None:
            return existing
        try:
            if existing is not None:
                await self._engine.ask(partial(self._replace, workload.id))
            await self._engine.tell(partial(self._start, workload, attempt, prepared))
        except APIError as refused:
            raise refusal_of(workload, str(refused.explanation or refused)) from refused
        running = await self._find(workload.id)
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
        self._inside.pop(instance, None)
        self._containers.pop(instance, None)
        self._previous.pop(instance, None)
        self._prepared.pop(instance, None)
        if self._storage is not None:
            await self._storage.release(instance)

    async def listening(self, running: Running) -> bool:
        inside = self._inside.get(running.id)
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
        known = ((each.id, self._containers.get(each.id)) for each in running)
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
        return len(self._died)

    async def close(self) -> None:
        await asyncio.to_thread(self._engine.close)

    async def _find(self, instance: str) -> Running | None:
        label = f"{INSTANCE}={instance}"
        found = await self._engine.ask(lambda api: api.containers(all=True, filters={"label": [label]}))
        return await self._running(found[0]) if found else None

    async def _running(self, container: Mapping[str, Any]) -> Running | None:
        """None for a container that vanished meanwhile, or whose labels are not Easel's."""
        try:
            return await self._facts(container)
        except EngineNotFound:
            return None
        except (KeyError, ValueError) as strange:
            if container["Id"] not in self._strange:
                self._strange.add(container["Id"])
                why = f"its labels are not Easel's: {strange!r}"
                log.warning("a container is left alone", extra={"container": container["Id"], "why": why})
            return None

    async def _facts(self, container: Mapping[str, Any]) -> Running:
        labels = container["Labels"]
        self._containers[labels[INSTANCE]] = container["Id"]
        ended = None
        # What is being started has not ended, whatever the engine says meanwhile. This is asked first: of a
        # start that is over by now the engine's answer is true.
        starting = container["State"] == _MADE and labels[INSTANCE] in self._starting
        # The engine tells of an end before its list shows it.
        looks_ended = container["State"] not in ("running", "paused") or container["Id"] in self._died
        if looks_ended and not starting:
            ended = await self._engine.ask(partial(_exit_of, container["Id"], labels))
        declared = int(labels["easel.port"])
        networks = (container.get("NetworkSettings") or {}).get("Networks") or {}
        inside = next((net["IPAddress"] for net in networks.values() if net.get("IPAddress")), "")
        if inside and declared:
            self._inside[labels[INSTANCE]] = (inside, declared)
        if self._settings.network:
            return running_from(labels, inside, declared, ended)
        published = (port.get("PublicPort") for port in container.get("Ports") or ())
        return running_from(labels, self._settings.address, next(filter(None, published), 0), ended)

    def _start(self, workload: Workload, attempt: Attempt, prepared: Prepared, api: Any) -> None:
        """In its own thread, which goes on when the caller is cancelled."""
        self._starting.add(workload.id)
        try:
            self._creator.start(workload, attempt, prepared, api)
        finally:
            self._starting.discard(workload.id)

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
                    self._died.add(event["Actor"]["ID"])
                    instance = event["Actor"]["Attributes"].get(INSTANCE, "")
                    loop.call_soon_threadsafe(self._exits.put_nowait, instance)
            except (APIError, Unavailable, RuntimeError) as ended:
                log.debug("the engine's events ended", extra={"why": str(ended)})
            self._engine.closed.wait(_RECONNECT)


def _exit_of(container: str, labels: Mapping[str, str], api: Any) -> Exit | None:
    """None for one that runs: the engine's list may be older."""
    state = api.inspect_container(container)["State"]
    if state["Running"]:
        return None
    last = api.logs(container, tail=5) if state["ExitCode"] in TELLING else b""
    lines = "; ".join(line.strip() for line in last.decode(errors="replace").splitlines() if line.strip())
    begun_at = datetime.fromisoformat(labels["easel.started"])
    return exit_from(state, int(labels["easel.memory"]), lines[-1000:], begun_at=begun_at)
