"""The sockets to which programs post metrics: one of the node, and localhost where somebody wants that."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from socket import socket
from typing import Protocol
from weakref import WeakKeyDictionary

from aiohttp import web

from libs.domain.errors import EaselError
from libs.domain.states import Runtime as RuntimeName
from services.agent.runtime.loopback import listen_on_loopback
from services.agent.runtime.port import Running, Runtime
from services.agent.telemetry.address import PATH, PostAddress
from services.agent.telemetry.entrance import Desk, Identify, NotTaken
from services.agent.workload import Workload

log = logging.getLogger(__name__)

# Where programs written for PAI-EAS post.
USUAL_PORT = 8080
LOOK_EVERY = 1.0
# A localhost that cannot be had is asked for again after so many looks.
_AGAIN_AFTER = 15
_OWN, _SHARED = "own", "shared"


class Instances(Protocol):
    """What runs here, and what it is."""

    def running(self) -> list[Running]: ...

    def workload(self, instance: str) -> Workload | None: ...


@dataclass(frozen=True)
class Wish:
    """A run whose localhost is to be opened. Its inlet closes with it."""

    instance: str
    run: float


def wishes(running: list[Running], workloads: Mapping[str, Workload | None], port: int) -> set[Wish]:
    """Of those that declare metrics and do not listen at that port themselves."""
    return {
        Wish(each.id, each.started_at.timestamp())
        for each in running
        if (workload := workloads.get(each.id)) is not None and workload.metrics and port != workload.port
    }


def is_shared_open(running: list[Running], workloads: Mapping[str, Workload | None], port: int) -> bool:
    """Whether the node's localhost is to be: somebody wants it, and nobody has it as its own port."""
    taken = any(each.port == port for each in running)
    return not taken and any(workload is not None and workload.metrics for workload in workloads.values())


class Inlets:
    """Opens and closes them as instances come and go. What cannot be opened is tried again."""

    def __init__(
        self,
        address: PostAddress,
        runtime: Runtime,
        instances: Instances,
        desk: Desk,
        usual_port: int = USUAL_PORT,
    ) -> None:
        self._address, self._runtime, self._instances, self._desk = address, runtime, instances, desk
        self._port = usual_port
        self._open: dict[str | Wish, list[asyncio.Server]] = {}
        self._waits: dict[str | Wish, int] = {}
        self._callers: WeakKeyDictionary[asyncio.BaseTransport, str] = WeakKeyDictionary()
        self._said: set[str] = set()

    async def run(self) -> None:
        """Until cancelled; closes all then."""
        try:
            while True:
                try:
                    await self.look()
                except (EaselError, OSError) as refused:
                    log.debug("inlets for metrics wait", extra={"why": str(refused)})
                except Exception:
                    # Instances go on without their metrics.
                    log.exception("inlets for metrics broke and are tried again")
                await asyncio.sleep(LOOK_EVERY)
        finally:
            for key in list(self._open):
                self._close(key)

    async def look(self) -> None:
        """One pass. Raises Unavailable while the engine is away."""
        if self._due(_OWN):
            await self._open_own()
        running = self._instances.running()
        workloads = {each.id: self._instances.workload(each.id) for each in running}
        if self._runtime.name is RuntimeName.PROCESS:
            wanted = is_shared_open(running, workloads, self._port)
            if wanted and self._due(_SHARED):
                await self._put(_SHARED, listen_on_loopback(self._port), self._by_call)
            if not wanted:
                self._close(_SHARED)
            return
        here = wishes(running, workloads, self._port)
        for gone in {key for key in (*self._open, *self._waits) if isinstance(key, Wish)} - here:
            self._close(gone)
        of = {each.id: each for each in running}
        for wish in filter(self._due, here):
            sockets = await self._runtime.open_loopback(of[wish.instance], self._port)
            await self._put(wish, sockets, partial(self._inside, wish.instance))

    def _due(self, key: str | Wish) -> bool:
        if key in self._open:
            return False
        left = self._waits.get(key, 0)
        self._waits[key] = left - 1
        return left <= 0

    async def _open_own(self) -> None:
        host = self._address.host or await self._runtime.node_address()
        inlet, loop = self._desk.inlet(self._by_address), asyncio.get_running_loop()
        for bind in (host, "0.0.0.0"):
            with suppress(OSError):
                self._open[_OWN] = [await loop.create_server(inlet, bind, self._address.port)]
                return
        self._postpone(_OWN, f"port {self._address.port} of the node is taken")

    async def _put(self, key: str | Wish, sockets: Sequence[socket], who: Identify) -> None:
        loop = asyncio.get_running_loop()
        if not sockets:
            self._postpone(key, f"localhost:{self._port} cannot be had")
            return
        inlet = self._desk.inlet(who)
        self._open[key] = [await loop.create_server(inlet, sock=each) for each in sockets]

    def _postpone(self, key: str | Wish, why: str) -> None:
        self._waits[key] = _AGAIN_AFTER
        if why not in self._said:
            self._said.add(why)
            log.warning("metrics cannot be posted there; EASEL_METRICS_URL works", extra={"why": why})

    def _close(self, key: str | Wish) -> None:
        self._waits.pop(key, None)
        for server in self._open.pop(key, ()):
            server.close()

    async def _by_address(self, request: web.BaseRequest) -> str:
        instance = self._address.instance_of(request.path)
        if instance is None:
            raise NotTaken(404, "this is no instance's address")
        return instance

    async def _inside(self, instance: str, request: web.BaseRequest) -> str:
        _ensure_path(request)
        return instance

    async def _by_call(self, request: web.BaseRequest) -> str:
        """The instance that has the other end of the connection."""
        _ensure_path(request)
        transport = request.transport
        if transport is None:
            raise NotTaken(400, "the connection is gone")
        known = self._callers.get(transport)
        if known is None:
            peer = transport.get_extra_info("peername")
            known = await self._runtime.owner_of((peer[0], peer[1]), self._port, self._instances.running())
            if known is None:
                raise NotTaken(403, "no instance of this node made this call")
            self._callers[transport] = known
        return known


def _ensure_path(request: web.BaseRequest) -> None:
    if request.path.rstrip("/") != PATH:
        raise NotTaken(404, f"got {request.path}, expected {PATH}")
