"""What the docker runtime does beside a program that runs: commands, connections, signs of life."""

import asyncio
import os
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from functools import partial
from pathlib import Path
from socket import socket
from typing import Any

from libs.domain.errors import EaselError, Unavailable
from services.agent.runtime.docker_engine import APIError, Engine, EngineNotFound
from services.agent.runtime.listeners import Listener, connections_to, finding_of, listeners, tree_of
from services.agent.runtime.loopback import listen_inside
from services.agent.runtime.port import Activity, Executed, Finding
from services.agent.runtime.threads import in_own_thread

_SHOWN = 4096
_DECLARED = "easel.port"


class Within:
    """Looks into containers by their names. What it cannot see from here is None.

    The kernel tells of a container's connections where the agent sees the processes of the engine's host,
    which it does not from a container with a view of processes of its own.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        # Commands that could not be killed, by container.
        self._left: dict[str, str] = {}
        self._node = ""

    async def connections(self, name: str) -> int | None:
        """Connections to the declared port; 0 for a container that is gone. Raises Unavailable."""
        seen = await self._seen(name)
        if seen is None:
            return 0
        net = await asyncio.to_thread(net_of, seen)
        if net is None:
            return None if seen["State"]["Running"] else 0
        return await asyncio.to_thread(connections_to, declared_port(seen), net)

    async def explain(self, name: str) -> Finding | None:
        """Raises Unavailable."""
        seen = await self._seen(name)
        if seen is None:
            return None
        net = await asyncio.to_thread(net_of, seen)
        if net is None:
            return None
        port = declared_port(seen)
        found = [each for each in await asyncio.to_thread(listeners, net) if not _is_engines(each)]
        advice = f"containers[0].port says {port}: let it read the environment variable PORT"
        return finding_of(found, port, advice, from_outside=True)

    async def node_address(self, network: str) -> str:
        """The gateway of the containers' network: the node's own address in it. Raises Unavailable."""
        if not self._node:
            try:
                seen = await self._engine.ask(lambda api: api.inspect_network(network or "bridge"))
            except EngineNotFound as missing:
                raise Unavailable(f"the network {network or 'bridge'} is not there") from missing
            parts = (seen.get("IPAM") or {}).get("Config") or ()
            self._node = next((part["Gateway"] for part in parts if part.get("Gateway")), "127.0.0.1")
        return self._node

    async def open_loopback(self, name: str, port: int) -> list[socket]:
        """See `Runtime`. Raises Unavailable."""
        seen = await self._seen(name)
        net = await asyncio.to_thread(net_of, seen) if seen is not None else None
        return await in_own_thread(partial(listen_inside, net, port)) if net is not None else []

    async def address(self, name: str) -> str:
        """The container's own address; empty when it has none. Raises Unavailable."""
        return _address(await self._seen(name) or {})

    async def activity(self, name: str) -> Activity | None:
        """See `Runtime`. Raises Unavailable."""
        try:
            stats = await self._engine.ask(lambda api: api.stats(name, stream=False, one_shot=True))
            said: bytes = await self._engine.ask(lambda api: api.logs(name, tail=1, timestamps=True))
        except EngineNotFound:
            return None
        moved = (stats.get("blkio_stats") or {}).get("io_service_bytes_recursive") or ()
        used = int(stats["cpu_stats"]["cpu_usage"]["total_usage"]) // 1_000_000
        return Activity(
            used + (sum(int(entry["value"]) for entry in moved) >> 10), said.decode(errors="replace")
        )

    async def _seen(self, name: str) -> Mapping[str, Any] | None:
        with suppress(EngineNotFound):
            seen: Mapping[str, Any] = await self._engine.ask(lambda api: api.inspect_container(name))
            return seen
        return None

    async def execute(self, name: str, command: Sequence[str], within: timedelta) -> Executed:
        """See `Runtime`. One that is not ended by its kill is waited for before another is run."""
        try:
            if await self._is_still_there(name):
                return Executed(None)
            asked = await self._engine.ask(lambda api: api.exec_create(name, list(command))["Id"])
        except EngineNotFound as gone:
            raise Unavailable(f"no container {name} to run a command in") from gone
        running = asyncio.ensure_future(in_own_thread(partial(self._run, asked)))
        try:
            async with asyncio.timeout(within.total_seconds()):
                output = await running
        except EaselError as refused:
            return Executed(127, str(refused))
        except (TimeoutError, asyncio.CancelledError) as ended:
            await self._kill(name, asked)
            if isinstance(ended, asyncio.CancelledError):
                raise
            return Executed(None)
        outcome = await self._engine.ask(lambda api: api.exec_inspect(asked))
        return Executed(outcome["ExitCode"], output)

    def _run(self, asked: str) -> str:
        """Blocks until the command ends."""
        said = b""
        try:
            for part in self._engine.stream(lambda api: api.exec_start(asked, stream=True)):
                said += part[: _SHOWN - len(said)]
        except APIError as refused:
            raise Unavailable(str(refused.explanation or refused)) from refused
        return said.decode(errors="replace")

    async def _is_still_there(self, name: str) -> bool:
        asked = self._left.pop(name, "")
        if not asked:
            return False
        with suppress(EngineNotFound):
            if (await self._engine.ask(lambda api: api.exec_inspect(asked)))["Running"]:
                self._left[name] = asked
                return True
        return False

    async def _kill(self, name: str, asked: str) -> None:
        self._left[name] = asked
        with suppress(EaselError, APIError):
            seen = await self._engine.ask(lambda api: api.inspect_container(name))
            outcome = await self._engine.ask(lambda api: api.exec_inspect(asked))
            pid = int(outcome["Pid"] or 0)
            if pid and _has_address(Path(f"/proc/{pid}/net"), _address(seen)):
                await asyncio.to_thread(_kill_tree, pid)


def _kill_tree(root: int) -> None:
    for pid in list(tree_of(root)):
        with suppress(OSError):
            os.kill(pid, signal.SIGKILL)


def net_of(seen: Mapping[str, Any]) -> Path | None:
    """The network of a container in this host's /proc. Another process that has its pid is told apart."""
    net = Path(f"/proc/{seen['State']['Pid']}/net")
    return net if seen["State"]["Pid"] and _has_address(net, _address(seen)) else None


def _has_address(net: Path, address: str) -> bool:
    try:
        return bool(address) and f"|-- {address}\n" in (net / "fib_trie").read_text(encoding="ascii")
    except OSError:
        return False


def _address(seen: Mapping[str, Any]) -> str:
    networks = (seen.get("NetworkSettings") or {}).get("Networks") or {}
    return next((net["IPAddress"] for net in networks.values() if net.get("IPAddress")), "")


def declared_port(seen: Mapping[str, Any]) -> int:
    return int(seen["Config"]["Labels"][_DECLARED])


def _is_engines(listener: Listener) -> bool:
    """The engine answers name queries on a port above those of programs in each network of a user's."""
    return listener.loopback and listener.inode == "0"
