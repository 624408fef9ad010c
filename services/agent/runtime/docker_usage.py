"""What containers use: by the files of their control groups where the agent sees them, else by the engine."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from services.agent.runtime.cgroups import Spent, spent_in, spent_in_old
from services.agent.runtime.docker_engine import Engine, EngineNotFound
from services.agent.runtime.docker_inside import declared_port, net_of
from services.agent.runtime.port import Use
from services.agent.runtime.process_usage import connections_by_port
from services.agent.runtime.threads import in_own_thread

GROUPS = Path("/sys/fs/cgroup")
# The engine works for a millisecond on each answer, but waits up to a second with it.
_AT_ONCE = 32
# The kernel looks through the connections of the whole host for each network that is asked for.
_NETS_A_LOOK = 16


@dataclass(frozen=True)
class _Place:
    """Where one container shows what it uses; None for what cannot be seen from here."""

    net: Path | None
    port: int


class Meter:
    """Asks the engine once for each container where it is, and then reads files where there are any."""

    def __init__(self, engine: Engine, groups: Path = GROUPS) -> None:
        self._engine, self._groups = engine, groups
        self._places: dict[str, _Place] = {}
        self._slots = asyncio.Semaphore(_AT_ONCE)
        # As last counted, the oldest first.
        self._connections: dict[str, int | None] = {}

    async def use_of(self, containers: Mapping[str, str]) -> dict[str, Use]:
        """By instance, of the containers with these ids. Raises Unavailable when the engine is away."""
        missing = [each for each in containers.values() if each not in self._places]
        found = dict(zip(missing, await asyncio.gather(*map(self._find, missing)), strict=True))
        known = {**self._places, **{each: place for each, place in found.items() if place is not None}}
        self._places = {each: known[each] for each in containers.values() if each in known}
        spent = await in_own_thread(partial(self._read, dict(self._places)))
        asked = [each for each, (seen, _) in spent.items() if seen is None]
        told = dict(zip(asked, await asyncio.gather(*map(self._ask, asked)), strict=True))
        uses = {}
        for instance, container in containers.items():
            seen, connections = spent.get(container, (None, None))
            seen = seen or told.get(container)
            if seen is not None:
                uses[instance] = Use(seen.cpu_seconds, seen.memory_bytes, connections)
        return uses

    async def _find(self, container: str) -> _Place | None:
        async with self._slots:
            with suppress(EngineNotFound):
                seen = await self._engine.ask(lambda api: api.inspect_container(container))
                # The port is known by then, and the pid stays as long as the container runs.
                net = await in_own_thread(partial(net_of, seen))
                return _Place(net, declared_port(seen))
        return None

    def _read(self, places: Mapping[str, _Place]) -> dict[str, tuple[Spent | None, int | None]]:
        self._count(places)
        return {each: (spent_of(each, self._groups), self._connections.get(each)) for each in places}

    def _count(self, places: Mapping[str, _Place]) -> None:
        """Connections of those that were counted longest ago: a look costs the same for any number."""
        known = {each: count for each, count in self._connections.items() if each in places}
        new = [each for each in places if each not in known]
        for container in (*new, *known)[:_NETS_A_LOOK]:
            place = places[container]
            known.pop(container, None)
            known[container] = connections_by_port(place.net)[place.port] if place.net is not None else None
        self._connections = known

    async def _ask(self, container: str) -> Spent | None:
        async with self._slots:
            with suppress(EngineNotFound, KeyError):
                stats = await self._engine.ask(lambda api: api.stats(container, stream=False, one_shot=True))
                return spent_from(stats)
        return None


def spent_of(container: str, groups: Path = GROUPS) -> Spent | None:
    """By its groups, wherever the engine's usual drivers put them; None where they are not seen."""
    for group in (
        groups / "system.slice" / f"docker-{container}.scope",
        groups / "docker" / container,
    ):
        if group.is_dir():
            return spent_in(group)
    for place in (Path("system.slice") / f"docker-{container}.scope", Path("docker") / container):
        memory = groups / "memory" / place
        if memory.is_dir():
            return spent_in_old(groups / "cpuacct" / place, memory)
    return None


def spent_from(stats: Mapping[str, Any]) -> Spent:
    """The engine's own account. Raises KeyError for a container that has just ended."""
    memory = stats["memory_stats"]
    detail = memory.get("stats") or {}
    idle = detail.get("total_inactive_file", detail.get("inactive_file", 0))
    nanoseconds = stats["cpu_stats"]["cpu_usage"]["total_usage"]
    return Spent(nanoseconds / 1e9, max(0, memory["usage"] - idle))
