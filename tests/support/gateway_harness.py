"""A gateway with a real Envoy, fed by a scheduler that the test plays, and backends that echo."""

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx

from easel.gateway.v1 import gateway_pb2 as pb
from easel.gateway.v1 import gateway_pb2_grpc as rpc
from libs.rpc.server import Service, serving
from services.gateway import runtime as gateway
from services.gateway.settings import Settings
from tests.support.free_ports import free_port
from tests.support.waiting import until

TOKEN = "t0ken-of-the-service"


class ScriptedScheduler(rpc.RoutesServiceServicer):
    """Speaks the routes feed as a scheduler does: the full state on connect, then changes."""

    def __init__(self) -> None:
        self.generation = 0
        self.services: dict[str, pb.ServiceRoute] = {}
        self.groups: dict[str, pb.GroupRoute] = {}
        self.settings = pb.GatewaySettings()
        self.hosted = pb.HostedGateways()
        # What gateways said, by the name of the message's field.
        self.heard: dict[str, list[Any]] = {}
        self._streams: list[asyncio.Queue[pb.ConnectResponse]] = []

    async def Connect(self, request_iterator: Any, context: Any) -> AsyncIterator[pb.ConnectResponse]:
        messages: asyncio.Queue[pb.ConnectResponse] = asyncio.Queue()
        messages.put_nowait(pb.ConnectResponse(update=self.full()))
        self._streams.append(messages)
        reading = asyncio.create_task(self._read(request_iterator))
        try:
            while True:
                yield await messages.get()
        finally:
            self._streams.remove(messages)
            reading.cancel()

    async def _read(self, requests: Any) -> None:
        async for request in requests:
            kind = request.WhichOneof("message")
            self.heard.setdefault(kind, []).append(getattr(request, kind))

    @property
    def hellos(self) -> list[pb.GatewayHello]:
        return self.heard.setdefault("hello", [])

    @property
    def applied(self) -> list[pb.Applied]:
        return self.heard.setdefault("applied", [])

    @property
    def status(self) -> pb.GatewayStatus:
        """What a gateway said last of itself."""
        said: list[pb.GatewayStatus] = self.heard.get("status", [])
        return said[-1] if said else pb.GatewayStatus()

    def said(self, why: str) -> bool:
        """Whether any gateway said that of itself."""
        return any(why in each.why for each in self.heard.get("status", []))

    @property
    def refused(self) -> list[pb.Refused]:
        return self.heard.setdefault("refused", [])

    def full(self) -> pb.RoutesUpdate:
        return pb.RoutesUpdate(
            generation=self.generation,
            full=True,
            services=list(self.services.values()),
            groups=list(self.groups.values()),
            settings=self.settings,
            hosted=self.hosted,
        )

    def set(self, *routes: pb.ServiceRoute) -> int:
        """Adds or changes services; returns the generation of the change."""
        self.services.update({each.name: each for each in routes})
        return self._send(services=list(routes))

    def configure(self, **settings: Any) -> int:
        """Sets all that an operator sets for a gateway; returns the generation of the change."""
        self.settings = pb.GatewaySettings(**settings)
        return self._send(settings=self.settings)

    def host(self, *gateways: pb.HostedGateway) -> int:
        """Sets which further gateways the process runs; returns the generation of the change."""
        self.hosted = pb.HostedGateways(gateways=gateways)
        return self._send(hosted=self.hosted)

    def remove(self, *names: str) -> int:
        """Removes services; returns the generation of the change."""
        for name in names:
            self.services.pop(name, None)
        return self._send(removed=list(names))

    def set_groups(self, *groups: pb.GroupRoute) -> int:
        """Adds or changes groups; returns the generation of the change."""
        self.groups.update({each.name: each for each in groups})
        return self._send(groups=list(groups))

    def remove_groups(self, *names: str) -> int:
        """Removes groups; returns the generation of the change."""
        for name in names:
            self.groups.pop(name, None)
        return self._send(removed_groups=list(names))

    def ask(self, question: pb.ConnectResponse) -> None:
        """Sends something that is no update."""
        for stream in self._streams:
            stream.put_nowait(question)

    def _send(self, **change: Any) -> int:
        self.generation += 1
        self.ask(pb.ConnectResponse(update=pb.RoutesUpdate(generation=self.generation, **change)))
        return self.generation

    async def until_applied(self, generation: int, within: float = 20.0) -> None:
        """Waits until the gateway says that every Envoy has `generation`."""
        await until(
            lambda: any(each.generation >= generation for each in self.applied),
            f"generation {generation} to be applied",
            within,
        )


@asynccontextmanager
async def scripted_scheduler(scheduler: ScriptedScheduler, port: int = 0) -> AsyncIterator[str]:
    """Serves the feed; yields its address."""

    def register(server: Any) -> None:
        rpc.add_RoutesServiceServicer_to_server(scheduler, server)

    services = [Service("easel.gateway.v1.RoutesService", register)]
    async with serving(services, f"127.0.0.1:{port}", drain_for=timedelta(0)) as bound:
        yield f"127.0.0.1:{bound}"


@dataclass
class Harness:
    """What a test needs of a running gateway."""

    scheduler: ScriptedScheduler
    settings: Settings
    http: httpx.AsyncClient

    @property
    def url(self) -> str:
        return f"http://{self.settings.listen}"

    @property
    def port(self) -> int:
        return int(self.settings.listen.rpartition(":")[2])

    async def serve(self, *routes: pb.ServiceRoute) -> None:
        """Feeds services and waits until Envoy has them."""
        await self.scheduler.until_applied(self.scheduler.set(*routes))

    async def configure(self, **settings: Any) -> None:
        """Feeds settings and waits until Envoy has what they come to."""
        await self.scheduler.until_applied(self.scheduler.configure(**settings))

    def envoy_pid(self) -> int:
        noted = json.loads((self.settings.data_dir / "envoy.pid").read_text())
        return int(noted["pid"])


def settings_for(data_dir: Path, scheduler: str, **more: Any) -> Settings:
    """Settings of a gateway on free ports."""
    values: dict[str, Any] = {
        "scheduler": scheduler,
        "listen": f"127.0.0.1:{free_port()}",
        "data_dir": data_dir,
        "envoy_concurrency": 1,
        "drain_for": timedelta(seconds=2),
    }
    return Settings(**(values | more))


@asynccontextmanager
async def running_gateway(settings: Settings, within: float = 20.0) -> AsyncIterator[None]:
    """Runs a gateway inside this process until the block ends, its Envoy with it."""
    stop, ready = asyncio.Event(), asyncio.Event()
    task = asyncio.create_task(gateway.run(settings, stop, ready))
    try:
        await until(lambda: ready.is_set() or task.done(), "the gateway to take requests", within)
        if task.done():
            await task
        yield
    finally:
        stop.set()
        await asyncio.wait_for(task, 20)


@asynccontextmanager
async def harness(data_dir: Path, **more: Any) -> AsyncIterator[Harness]:
    """A gateway inside this process, its Envoy, and a scheduler to feed it."""
    scheduler = ScriptedScheduler()
    async with scripted_scheduler(scheduler) as address:
        settings = settings_for(data_dir, address, **more)
        async with running_gateway(settings), httpx.AsyncClient(timeout=20) as http:
            yield Harness(scheduler, settings, http)


@asynccontextmanager
async def gateway_process(settings: Settings) -> AsyncIterator[asyncio.subprocess.Process]:
    """Runs a gateway as a process of its own; the block may kill it. Does not stop an Envoy left behind."""
    given = settings.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
    variables = {f"EASEL_GATEWAY_{name.upper()}": str(value) for name, value in given.items()}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.gateway", env={**os.environ, **variables}
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
            await asyncio.wait_for(process.wait(), 20)


def service(name: str, *ports: int, **more: Any) -> pb.ServiceRoute:
    """A service of one version with instances at these ports of 127.0.0.1."""
    endpoints = [pb.Endpoint(instance=f"{name}-{port}", address="127.0.0.1", port=port) for port in ports]
    values: dict[str, Any] = {
        "tokens": [TOKEN],
        "keepalive_ms": 5000,
        "backends": [pb.Backend(version=1, endpoints=endpoints)],
    }
    return pb.ServiceRoute(name=name, **(values | more))


def bearer(token: str = TOKEN) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@dataclass
class EchoBackend:
    """An HTTP/1.1 server that answers what it was asked, as JSON.

    `/status/{code}` answers that code, `/silent` never answers, `/events/{count}/{milliseconds}` streams.
    """

    name: str = "echo"
    port: int = 0
    requests: list[str] = field(default_factory=list)
    release: asyncio.Event = field(default_factory=asyncio.Event)
    # Is told the headers of each request.
    heard: Callable[[dict[str, str]], None] = lambda headers: None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while await self._one(reader, writer):
                pass
        writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = await reader.readuntil(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").strip().split("\r\n")
        method, target, _ = first.split(" ")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        self.requests.append(target)
        self.heard(headers)
        parts = target.partition("?")[0].strip("/").split("/")
        if parts[0] == "silent":
            await self.release.wait()
        if parts[0] == "events":
            return await self._events(writer, int(parts[1]), int(parts[2]))
        seen = {
            "backend": self.name,
            "method": method,
            "path": target,
            "headers": headers,
            "body": body.decode("latin-1"),
        }
        status = int(parts[1]) if parts[0] == "status" else 200
        text = json.dumps(seen).encode()
        writer.write(
            b"HTTP/1.1 %d X\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b"
            % (status, len(text), text)
        )
        await writer.drain()
        return True

    async def _events(self, writer: asyncio.StreamWriter, count: int, milliseconds: int) -> bool:
        writer.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
        )
        for number in range(count):
            text = b"data: %d\n\n" % number
            writer.write(b"%x\r\n%b\r\n" % (len(text), text))
            await writer.drain()
            await asyncio.sleep(milliseconds / 1000)
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        return True


@asynccontextmanager
async def echo_backend(name: str = "echo") -> AsyncIterator[EchoBackend]:
    """Serves an echo backend on a free port."""
    backend = EchoBackend(name)
    connections: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(backend.serve(reader, writer))
        connections.add(task)
        task.add_done_callback(connections.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    backend.port = server.sockets[0].getsockname()[1]
    try:
        yield backend
    finally:
        server.close()
        for task in connections:
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)


@dataclass
class Traffic:
    """Requests without a pause while a block runs, and every one that did not end well."""

    answered: int = 0
    failures: list[str] = field(default_factory=list)

    async def more(self, count: int = 50) -> None:
        """Waits for `count` more answers."""
        goal = self.answered + count
        await until(lambda: self.answered >= goal or self.failures, f"{count} more answers")


@asynccontextmanager
async def traffic(url: str, clients: int = 4, **headers: str) -> AsyncIterator[Traffic]:
    """Calls `url` from several connections until the block ends."""
    seen, stop = Traffic(), asyncio.Event()

    async def call() -> None:
        async with httpx.AsyncClient(timeout=20, headers=bearer() | headers) as http:
            while not stop.is_set():
                try:
                    answer = await http.post(url, content=b"x")
                except httpx.HTTPError as error:
                    seen.failures.append(repr(error))
                    continue
                if answer.status_code == 200:
                    seen.answered += 1
                else:
                    seen.failures.append(f"{answer.status_code}: {answer.text[:200]}")

    tasks = [asyncio.create_task(call()) for _ in range(clients)]
    try:
        yield seen
    finally:
        stop.set()
        await asyncio.gather(*tasks)
