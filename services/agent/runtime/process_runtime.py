"""Instances as processes of this host, each under a launcher that outlives the agent."""

import asyncio
import ipaddress
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from socket import socket

from libs.domain.causes import Cause
from libs.domain.errors import NotFound
from libs.domain.states import Runtime as RuntimeName
from services.agent.mounts import MountKind, ensure_source
from services.agent.runtime import process_end, process_inside
from services.agent.runtime.cgroups import spent_in
from services.agent.runtime.launchers import Launchers
from services.agent.runtime.listeners import (
    connections_of_tree,
    connections_to,
    finding_of,
    inodes_between,
    listeners_of_tree,
    ports_of_tree,
    sockets_of_tree,
)
from services.agent.runtime.logfiles import follow as followed
from services.agent.runtime.logfiles import tail_of
from services.agent.runtime.port import (
    Activity,
    Attempt,
    Executed,
    Finding,
    Phase,
    PrepareFailed,
    PullFailed,
    Running,
    Told,
    Use,
)
from services.agent.runtime.process_directories import Directories
from services.agent.runtime.process_launch import ProcessSettings, host_path, refuse_mounts
from services.agent.runtime.process_start import Starter
from services.agent.runtime.process_state import running_from, venvs_of
from services.agent.runtime.process_usage import Trees, connections_by_port
from services.agent.runtime.sockets import accepts
from services.agent.runtime.threads import FILES_WITHIN, in_own_thread, prepared_mount
from services.agent.runtime.venvs import Venvs, content_of
from services.agent.storage.node_storage import NodeStorage
from services.agent.workload import Workload


class ProcessRuntime:
    """See `Runtime`. CPU is bounded only with control groups; memory is watched where there are none."""

    name = RuntimeName.PROCESS

    def __init__(self, settings: ProcessSettings, venvs: Venvs, storage: NodeStorage | None = None) -> None:
        self._settings, self._venvs, self._storage = settings, venvs, storage
        self._exits: asyncio.Queue[str] = asyncio.Queue()
        self._children = Launchers(self._exits.put_nowait)
        self._directories = Directories(settings.directory, settings.address, settings.control_groups)
        self._starter = Starter(settings, self._directories, self._children)
        self._prepared: dict[str, Path] = {}
        self._listening: set[tuple[str, datetime]] = set()
        self._trees = Trees()

    async def instances(self) -> Sequence[Running]:
        found = await asyncio.to_thread(self._directories.scan)
        for running in found:
            if running.exit is None:
                self._children.watch(self._directories.of(running.id))
        return found

    async def prepare(self, workload: Workload, phase: Phase) -> None:
        refuse_mounts(workload.mounts)
        if self._storage is not None:
            await self._storage.ensure(workload, phase)
        for mount in workload.mounts:
            if mount.kind is MountKind.BIND:
                await prepared_mount(ensure_source, mount)
        if workload.prepares:
            path = workload.requirements_path
            file = host_path(workload, path) if path else None
            try:
                self._prepared[workload.id] = await self._venvs.ensure(workload.requirements, file, phase)
            except OSError as refused:
                raise PrepareFailed(f"the requirements could not be installed: {refused}") from refused

    async def ensure_running(self, workload: Workload, attempt: Attempt) -> Running:
        venv = self._prepared.get(workload.id)
        state = await asyncio.to_thread(self._starter.start, workload, attempt, venv)
        self._children.watch(self._directories.of(workload.id))
        return running_from(workload.id, state, self._settings.address, None)

    async def ensure_ended(self, instance: str, grace: timedelta, sigterm: bool) -> None:
        await process_end.end(self._directories.of(instance), grace, sigterm)

    async def ensure_absent(self, instance: str, grace: timedelta, sigterm: bool) -> None:
        await self.ensure_ended(instance, grace, sigterm)
        await asyncio.to_thread(self._directories.remove, self._directories.of(instance))
        self._prepared.pop(instance, None)
        self._listening = {run for run in self._listening if run[0] != instance}
        if self._storage is not None:
            await self._storage.release(instance)

    async def listening(self, running: Running) -> bool:
        if not await accepts(running.address, running.port):
            return False
        run = (running.id, running.started_at)
        if run not in self._listening:
            # On a port that a program of somebody else took first, the answer is not the instance's.
            launcher = self._directories.of(running.id).monitor()
            ports = await asyncio.to_thread(ports_of_tree, launcher) if launcher is not None else set()
            if running.port not in ports:
                return False
            self._listening.add(run)
        return True

    async def explain(self, running: Running) -> Finding | None:
        launcher = self._directories.of(running.id).monitor()
        if launcher is None:
            return None
        found = await asyncio.to_thread(listeners_of_tree, launcher)
        advice = f"was given port {running.port}: let it read the environment variable PORT"
        return finding_of(found, running.port, advice, from_outside=not _is_loopback(running.address))

    async def connections(self, running: Running) -> int | None:
        launcher = self._directories.of(running.id).monitor()
        if launcher is None:
            return await asyncio.to_thread(connections_to, running.port)
        return await asyncio.to_thread(connections_of_tree, launcher, running.port)

    async def execute(self, running: Running, command: Sequence[str], within: timedelta) -> Executed:
        return await process_inside.execute(self._directories.of(running.id), command, within)

    async def reach(self, running: Running, port: int) -> tuple[str, int]:
        return running.address, port

    async def activity(self, running: Running) -> Activity | None:
        return await asyncio.to_thread(process_inside.activity_of, self._directories.of(running.id))

    async def usage(self, running: Sequence[Running]) -> Mapping[str, Use]:
        # A node at rest does not look through all of its processes every second.
        return await in_own_thread(partial(self._meter, running)) if running else {}

    async def node_address(self) -> str:
        return "127.0.0.1"

    async def open_loopback(self, running: Running, port: int) -> Sequence[socket]:
        return ()

    async def owner_of(self, peer: tuple[str, int], port: int, among: Sequence[Running]) -> str | None:
        return await asyncio.to_thread(self._owner_of, peer[1], port, among)

    async def logs(self, instance: str, tail: int, follow: bool) -> AsyncIterator[bytes]:
        directory = self._directories.of(instance)
        if not directory.path.is_dir():
            raise NotFound(f"no instance {instance} on this node")
        text, read = await asyncio.to_thread(tail_of, directory.log, tail)
        if text:
            yield text
        if follow:
            async for more in followed(directory.log, read, directory.alive):
                yield more

    async def exits(self) -> AsyncIterator[str]:
        while True:
            yield await self._exits.get()

    async def images(self) -> Sequence[str]:
        return ()

    async def ensure_image(self, image: str, login: tuple[str, str] | None, told: Told) -> None:
        raise PullFailed("this node runs processes; it has no images", Cause.NOT_ON_THIS_NODE)

    async def tidy(self) -> None:
        found = await asyncio.to_thread(venvs_of, self._settings.directory)
        await self._venvs.tidy(found | set(self._prepared.values()))

    async def remove_shared(self) -> None:
        """Everything is in the data directory, where the next agent finds it."""

    async def read(self, workload: Workload, path: str, longest: int) -> bytes:
        reading = in_own_thread(partial(content_of, host_path(workload, path), longest))
        return await asyncio.wait_for(reading, FILES_WITHIN)

    async def close(self) -> None:
        self._children.close()

    def _meter(self, running: Sequence[Running]) -> dict[str, Use]:
        seen, open_at = self._trees.look(self._directories.launchers(running)), connections_by_port()
        uses = {}
        for each in running:
            if each.id in seen:
                seconds, memory = seen[each.id]
                groups = self._settings.control_groups
                spent = spent_in(groups.parent / each.id) if groups is not None else None
                if spent is not None:
                    seconds, memory = spent.cpu_seconds, spent.memory_bytes
                uses[each.id] = Use(seconds, memory, open_at[each.port] if each.port else None)
        return uses

    def _owner_of(self, own: int, port: int, among: Sequence[Running]) -> str | None:
        sockets = inodes_between(own, port)
        for instance, launcher in self._directories.launchers(among).items():
            if sockets & sockets_of_tree(launcher)[0]:
                return instance
        return None


def _is_loopback(address: str) -> bool:
    with suppress(ValueError):
        return ipaddress.ip_address(address).is_loopback
    return address == "localhost"
