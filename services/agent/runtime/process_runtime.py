"""Instances as processes of this host, each under a launcher that outlives the agent."""

import asyncio
import errno
import ipaddress
import logging
import os
import signal
import threading
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import chain
from pathlib import Path
from socket import socket
from typing import Any

from libs.domain.causes import Cause
from libs.domain.errors import NotFound
from libs.domain.states import Runtime as RuntimeName
from services.agent.mounts import MountKind, ensure_source
from services.agent.runtime import process_inside
from services.agent.runtime.cgroups import ControlGroups, spent_in
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
    Exit,
    Finding,
    Phase,
    PrepareFailed,
    PullFailed,
    Running,
    StartFailed,
    Told,
    Use,
)
from services.agent.runtime.process_launch import Place, host_path, launch_of, refuse_mounts
from services.agent.runtime.process_state import (
    InstanceDirectory,
    exit_from,
    kill_leftovers,
    running_from,
    state_of,
    venvs_of,
)
from services.agent.runtime.process_usage import Trees, connections_by_port
from services.agent.runtime.sockets import accepts, is_free
from services.agent.runtime.threads import FILES_WITHIN, in_own_thread, prepared_mount
from services.agent.runtime.venvs import Venvs, content_of
from services.agent.storage.node_storage import NodeStorage
from services.agent.workload import Workload

log = logging.getLogger(__name__)

_WITHOUT_SIGTERM = timedelta(seconds=1)
_KILLED_WITHIN = timedelta(seconds=8)
_BORN_WITHIN = 5.0
_LOOK_EVERY = 0.01


@dataclass(frozen=True)
class ProcessSettings:
    """Where and how processes run. `inherited` is what every program finds in its environment."""

    directory: Path
    address: str
    ports: range
    inherited: Mapping[str, str] = field(default_factory=dict)
    log_bytes: int = 16 << 20
    control_groups: ControlGroups | None = None


class ProcessRuntime:
    """See `Runtime`. CPU is bounded only with control groups; memory is watched where there are none."""

    name = RuntimeName.PROCESS

    def __init__(self, settings: ProcessSettings, venvs: Venvs, storage: NodeStorage | None = None) -> None:
        self._settings, self._venvs, self._storage = settings, venvs, storage
        self._exits: asyncio.Queue[str] = asyncio.Queue()
        self._children = Launchers(self._exits.put_nowait)
        self._prepared: dict[str, Path] = {}
        self._listening: set[tuple[str, datetime]] = set()
        # Looking and starting exclude each other: half a start is not to be taken for an end.
        self._mutex = threading.RLock()
        self._trees = Trees()

    async def instances(self) -> Sequence[Running]:
        found = await asyncio.to_thread(self._scan)
        for running in found:
            if running.exit is None:
                self._children.watch(self._directory(running.id))
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
        state = await asyncio.to_thread(self._start, workload, attempt)
        self._children.watch(self._directory(workload.id))
        return running_from(workload.id, state, self._settings.address, None)

    async def ensure_ended(self, instance: str, grace: timedelta, sigterm: bool) -> None:
        directory = self._directory(instance)
        if await asyncio.to_thread(self._tell, directory, signal.SIGTERM):
            await self._ended(directory, grace if sigterm else min(grace, _WITHOUT_SIGTERM))
        if await asyncio.to_thread(self._tell, directory, signal.SIGUSR1):
            await self._ended(directory, _KILLED_WITHIN)
        if await asyncio.to_thread(self._tell, directory, signal.SIGKILL):
            await self._ended(directory, _KILLED_WITHIN)

    async def ensure_absent(self, instance: str, grace: timedelta, sigterm: bool) -> None:
        await self.ensure_ended(instance, grace, sigterm)
        await asyncio.to_thread(self._remove, self._directory(instance))
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
            launcher = self._directory(running.id).monitor()
            ports = await asyncio.to_thread(ports_of_tree, launcher) if launcher is not None else set()
            if running.port not in ports:
                return False
            self._listening.add(run)
        return True

    async def explain(self, running: Running) -> Finding | None:
        launcher = self._directory(running.id).monitor()
        if launcher is None:
            return None
        found = await asyncio.to_thread(listeners_of_tree, launcher)
        advice = f"was given port {running.port}: let it read the environment variable PORT"
        return finding_of(found, running.port, advice, from_outside=not _is_loopback(running.address))

    async def connections(self, running: Running) -> int | None:
        launcher = self._directory(running.id).monitor()
        if launcher is None:
            return await asyncio.to_thread(connections_to, running.port)
        return await asyncio.to_thread(connections_of_tree, launcher, running.port)

    async def execute(self, running: Running, command: Sequence[str], within: timedelta) -> Executed:
        return await process_inside.execute(self._directory(running.id), command, within)

    async def reach(self, running: Running, port: int) -> tuple[str, int]:
        return running.address, port

    async def activity(self, running: Running) -> Activity | None:
        return await asyncio.to_thread(process_inside.activity_of, self._directory(running.id))

    async def usage(self, running: Sequence[Running]) -> Mapping[str, Use]:
        return await in_own_thread(partial(self._meter, running))

    async def node_address(self) -> str:
        return "127.0.0.1"

    async def open_loopback(self, running: Running, port: int) -> Sequence[socket]:
        return ()

    async def owner_of(self, peer: tuple[str, int], port: int, among: Sequence[Running]) -> str | None:
        return await asyncio.to_thread(self._owner_of, peer[1], port, among)

    async def logs(self, instance: str, tail: int, follow: bool) -> AsyncIterator[bytes]:
        directory = self._directory(instance)
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

    def _directory(self, instance: str) -> InstanceDirectory:
        return InstanceDirectory(self._settings.directory / instance)

    def _launchers(self, running: Sequence[Running]) -> dict[str, int]:
        found = {each.id: self._directory(each.id).monitor() for each in running}
        return {instance: pid for instance, pid in found.items() if pid is not None}

    def _meter(self, running: Sequence[Running]) -> dict[str, Use]:
        seen, open_at = self._trees.look(self._launchers(running)), connections_by_port()
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
        for instance, launcher in self._launchers(among).items():
            if sockets & sockets_of_tree(launcher)[0]:
                return instance
        return None

    def _scan(self) -> list[Running]:
        found: list[Running] = []
        with self._mutex:
            if not self._settings.directory.is_dir():
                return found
            for path in sorted(self._settings.directory.iterdir()):
                running = self._look(InstanceDirectory(path))
                if running is not None:
                    found.append(running)
        return found

    def _look(self, directory: InstanceDirectory) -> Running | None:
        """None for what is no instance. One that a killed agent began and never started is removed."""
        if not directory.path.is_dir():
            return None
        state, alive = directory.read("state.json"), directory.alive()
        try:
            if state is not None:
                ended = None if alive else _exit_of(directory, state)
                return running_from(directory.instance, state, self._settings.address, ended)
        except (KeyError, TypeError, ValueError):
            log.warning("not a state of this version", extra={"directory": str(directory.path)})
        if not alive:
            self._remove(directory)
        return None

    def _start(self, workload: Workload, attempt: Attempt) -> dict[str, Any]:
        """Blocks for some milliseconds. Everything is on disk before the launcher is started."""
        directory = self._directory(workload.id)
        with self._mutex:
            try:
                directory.create()
                lock = directory.lock()
                if lock is None:
                    return directory.read("state.json") or {}
                try:
                    return self._launch(workload, attempt, directory, lock)
                finally:
                    os.close(lock)
            except OSError as refused:
                full = refused.errno == errno.ENOSPC
                why = f"could not start: {refused}"
                raise StartFailed(why, Cause.NO_SPACE if full else None) from refused

    def _launch(
        self, workload: Workload, attempt: Attempt, directory: InstanceDirectory, lock: int
    ) -> dict[str, Any]:
        port, group = self._port(workload), self._control_group(workload)
        venv = self._prepared.get(workload.id)
        place = Place(directory, port, venv, group, lock, self._settings.log_bytes)
        launch = launch_of(workload, self._settings.inherited, place)
        directory.forget_run()
        state = state_of(workload, attempt, port, datetime.now(UTC))
        directory.write("launch.json", launch)
        directory.write("state.json", state)
        self._children.spawn(directory.path, lock)
        return state

    def _control_group(self, workload: Workload) -> str:
        groups = self._settings.control_groups
        if groups is None or not (workload.memory_mib or workload.cpu_milli):
            return ""
        return groups.create(workload.id, workload.memory_mib, workload.cpu_milli)

    def _port(self, workload: Workload) -> int:
        """Raises StartFailed when another program has the port."""
        if not workload.port:
            return 0
        if workload.host_port:
            if is_free(workload.host_port):
                return workload.host_port
            why = f"port {workload.host_port} is taken by {self._holder(workload.host_port)} of this node"
            raise StartFailed(why, Cause.PORT_TAKEN)
        known = {running.id: running.port for running in self._scan()}
        before = known.pop(workload.id, 0)
        for port in chain((before,) if before else (), self._settings.ports):
            if port not in known.values() and is_free(port):
                return port
        why = f"no free port in {self._settings.ports.start}-{self._settings.ports.stop - 1}"
        raise StartFailed(why, Cause.PORT_TAKEN)

    def _holder(self, port: int) -> str:
        near = (running for running in self._scan() if running.exit is None and running.port == port)
        return next((f"instance {running.id}" for running in near), "another program")

    def _tell(self, directory: InstanceDirectory, number: signal.Signals) -> bool:
        """Signals the launcher; False when none is alive. Waits for one that is just being born."""
        ends = time.monotonic() + _BORN_WITHIN
        while directory.path.is_dir() and directory.alive():
            pid = directory.monitor()
            if pid is not None:
                with suppress(ProcessLookupError):
                    os.kill(pid, number)
                return True
            if time.monotonic() > ends:
                kill_leftovers(directory.path)
                return True
            time.sleep(_LOOK_EVERY)
        return False

    def _remove(self, directory: InstanceDirectory) -> None:
        with self._mutex:
            if directory.path.exists():
                kill_leftovers(directory.path)
                directory.remove()
                if self._settings.control_groups is not None:
                    self._settings.control_groups.remove(directory.instance)

    async def _ended(self, directory: InstanceDirectory, within: timedelta) -> None:
        ends = time.monotonic() + within.total_seconds()
        while await asyncio.to_thread(directory.alive):
            if time.monotonic() > ends:
                return
            await asyncio.sleep(_LOOK_EVERY)


def _is_loopback(address: str) -> bool:
    with suppress(ValueError):
        return ipaddress.ip_address(address).is_loopback
    return address == "localhost"


def _exit_of(directory: InstanceDirectory, state: Mapping[str, Any]) -> Exit:
    said = directory.read("exit.json")
    if said is None:
        kill_leftovers(directory.path)
        said = {"at": time.time(), "lost": True}
        try:
            directory.write("exit.json", said)
        except OSError:  # Known again at the next look, and then the same, so that tries become rarer.
            said["at"] = state["started_at"]
    return exit_from(said, state["memory_mib"])
