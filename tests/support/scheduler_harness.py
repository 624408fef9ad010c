"""A whole scheduler in this process, and peers that speak its links as agents and gateways do."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import grpc

from easel.admin.v1 import admin_pb2, admin_pb2_grpc
from easel.agent.v1 import agent_pb2, agent_pb2_grpc
from easel.common.v1 import common_pb2
from easel.facts.v1 import facts_pb2, facts_pb2_grpc
from easel.gateway.v1 import gateway_pb2, gateway_pb2_grpc
from libs.rpc.client import dial
from services.scheduler.__main__ import run
from services.scheduler.settings import Settings
from tests.support.free_ports import free_port
from tests.support.waiting import until

T = TypeVar("T")
DEADLINE = 10.0


class RunningScheduler:
    """The addresses and stubs of one scheduler; every stub call needs a deadline, as everywhere."""

    def __init__(self, address: str, admin_token: str, join_token: str, channel: grpc.aio.Channel) -> None:
        self.address, self.admin_token, self.join_token, self.channel = (
            address,
            admin_token,
            join_token,
            channel,
        )
        self.services = admin_pb2_grpc.ServiceServiceStub(channel)
        self.instances = admin_pb2_grpc.InstanceServiceStub(channel)
        self.nodes = admin_pb2_grpc.NodeServiceStub(channel)
        self.events = admin_pb2_grpc.EventServiceStub(channel)
        self.tokens = admin_pb2_grpc.TokenServiceStub(channel)
        self.secrets = admin_pb2_grpc.SecretServiceStub(channel)
        self.datasets = admin_pb2_grpc.DatasetServiceStub(channel)
        self.images = admin_pb2_grpc.ImageServiceStub(channel)
        self.access_tokens = admin_pb2_grpc.AccessTokenServiceStub(channel)
        self.groups = admin_pb2_grpc.GroupServiceStub(channel)
        self.traffic = admin_pb2_grpc.TrafficServiceStub(channel)
        self.gateways = admin_pb2_grpc.GatewayServiceStub(channel)

    async def create(self, spec: Mapping[str, Any], key: str = "") -> admin_pb2.Service:
        request = admin_pb2.CreateServiceRequest(spec_json=json.dumps(spec), idempotency_key=key)
        return (await self.services.CreateService(request, timeout=DEADLINE)).service

    async def service(self, name: str) -> admin_pb2.Service:
        request = admin_pb2.GetServiceRequest(name=name)
        return (await self.services.GetService(request, timeout=DEADLINE)).service

    async def instances_of(self, service: str) -> list[admin_pb2.Instance]:
        request = admin_pb2.ListInstancesRequest(service=service)
        return list((await self.instances.ListInstances(request, timeout=DEADLINE)).instances)

    async def scale(self, name: str, instances: int) -> None:
        request = admin_pb2.ScaleServiceRequest(name=name, instances=instances)
        await self.services.ScaleService(request, timeout=DEADLINE)

    async def delete(self, name: str) -> None:
        await self.services.DeleteService(admin_pb2.DeleteServiceRequest(name=name), timeout=DEADLINE)

    async def event_reasons(self, service: str = "") -> list[str]:
        """Oldest first."""
        request = admin_pb2.ListEventsRequest(service=service, page_size=1000)
        listed = await self.events.ListEvents(request, timeout=DEADLINE)
        return [event.reason for event in reversed(listed.events)]


@asynccontextmanager
async def a_scheduler(directory: Path, **settings: Any) -> AsyncIterator[RunningScheduler]:
    """A scheduler on its database in `directory`; entering again with the same directory is a restart."""
    listen = f"127.0.0.1:{free_port()}"
    wanted = Settings(
        database_url=settings.pop("database_url", f"sqlite:///{directory}/easel.db"),
        listen=listen,
        admin_token_file=directory / "admin.token",
        join_token_file=directory / "join.token",
        **settings,
    )
    stop, ready = asyncio.Event(), asyncio.Event()
    task = asyncio.create_task(run(wanted, stop, ready))
    up = asyncio.create_task(ready.wait())
    await asyncio.wait({task, up}, timeout=DEADLINE, return_when=asyncio.FIRST_COMPLETED)
    if not up.done():
        up.cancel()
        await task
    admin_token = wanted.admin_token_file.read_text().strip()
    channel = dial(listen, admin_token)
    try:
        yield RunningScheduler(listen, admin_token, wanted.join_token_file.read_text().strip(), channel)
    finally:
        await channel.close()
        stop.set()
        await asyncio.wait_for(task, DEADLINE)


class LinkedAgent:
    """A node whose instances do whatever the test says."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.desired: agent_pb2.DesiredState | None = None
        self.asked_for_logs = False
        # What it answers when it is asked for logs; None answers nothing.
        self.log: bytes | None = None
        self._out: asyncio.Queue[agent_pb2.ConnectRequest] = asyncio.Queue()

    @property
    def assigned(self) -> dict[str, agent_pb2.Assignment]:
        return {a.id: a for a in self.desired.assignments} if self.desired else {}

    def say(self, instance: str, **fields: Any) -> None:
        report = agent_pb2.InstanceReport(id=instance, epoch=fields.pop("epoch", 1), **fields)
        reports = agent_pb2.InstanceReports(instances=[report])
        self._out.put_nowait(agent_pb2.ConnectRequest(reports=reports))

    def say_ready(self, instance: str, port: int = 20000, ready: bool = True) -> None:
        report: dict[str, Any] = {
            "state": common_pb2.INSTANCE_STATE_RUNNING,
            "ready": ready,
            "address": "127.0.0.1",
            "port": port,
        }
        message = agent_pb2.InstanceReport(id=instance, epoch=1, **report)
        message.ready_at.GetCurrentTime()
        reports = agent_pb2.InstanceReports(instances=[message])
        self._out.put_nowait(agent_pb2.ConnectRequest(reports=reports))

    def say_of_pull(self, pull: str, **fields: Any) -> None:
        reports = agent_pb2.ImagePullReports(pulls=[agent_pb2.ImagePullReport(id=pull, **fields)])
        self._out.put_nowait(agent_pb2.ConnectRequest(image_pulls=reports))

    def beat(self, **fields: Any) -> None:
        """A heartbeat; without an inventory the node stays what it was."""
        heartbeat = agent_pb2.Heartbeat(**fields)
        self._out.put_nowait(agent_pb2.ConnectRequest(heartbeat=heartbeat))

    def heard_log_request(self, request_id: str) -> None:
        self.asked_for_logs = True
        if self.log is not None:
            chunk = agent_pb2.LogChunk(request_id=request_id, text=self.log, end=True)
            self._out.put_nowait(agent_pb2.ConnectRequest(log_chunk=chunk))

    async def sees(self, condition: Callable[["LinkedAgent"], T], what: str) -> T:
        return await until(lambda: condition(self), what)


@asynccontextmanager
async def an_agent(
    scheduler: RunningScheduler,
    name: str = "n1",
    running: tuple[str, ...] = (),
    agent: str = "",
    epoch: int = 0,
    **inventory: Any,
) -> AsyncIterator[LinkedAgent]:
    """A connected agent; `running` are the instances it says it already runs, `epoch` what it obeyed last."""
    linked = LinkedAgent(name)
    capacity = common_pb2.Resources(cpu_milli=8000, memory_mib=16_000, disk_mib=100_000)
    base: dict[str, Any] = {
        "capacity": capacity,
        "runtime": common_pb2.RUNTIME_PROCESS,
        "address": "127.0.0.1",
        "first_port": 20000,
        "last_port": 20999,
    }
    hello = agent_pb2.Hello(
        node=name,
        agent=agent,
        epoch=epoch,
        inventory=agent_pb2.Inventory(**{**base, **inventory}),
        running=[
            agent_pb2.InstanceReport(id=i, epoch=1, state=common_pb2.INSTANCE_STATE_RUNNING, ready=True)
            for i in running
        ],
    )
    linked._out.put_nowait(agent_pb2.ConnectRequest(hello=hello))

    async def outgoing() -> AsyncIterator[agent_pb2.ConnectRequest]:
        while True:
            yield await linked._out.get()

    async def listen(call: Any) -> None:
        async for response in call:
            if response.HasField("desired"):
                linked.desired = response.desired
            if response.HasField("log_request"):
                linked.heard_log_request(response.log_request.request_id)

    async with dial(scheduler.address, scheduler.join_token) as channel:
        call = agent_pb2_grpc.AgentLinkServiceStub(channel).Connect(outgoing(), timeout=120)
        listening = asyncio.create_task(listen(call))
        await linked.sees(lambda a: a.desired is not None, "the first desired state")
        try:
            yield linked
        finally:
            call.cancel()
            await asyncio.gather(listening, return_exceptions=True)


class LinkedGateway:
    """A gateway that applies routes when the test says so."""

    def __init__(self) -> None:
        self.generation = 0
        self.routes: dict[str, gateway_pb2.ServiceRoute] = {}
        self.groups: dict[str, gateway_pb2.GroupRoute] = {}
        self.settings = gateway_pb2.GatewaySettings()
        self.hosted: list[gateway_pb2.HostedGateway] = []
        self.updates: list[gateway_pb2.RoutesUpdate] = []
        self.questions: list[gateway_pb2.ExplainRoute] = []
        self.watched: list[str] = []
        # What it answers when it is asked; None answers nothing.
        self.answers: Callable[[gateway_pb2.ExplainRoute], common_pb2.RouteExplanation] | None = None
        self.counts: list[common_pb2.ServiceTraffic] | None = None
        self._out: asyncio.Queue[gateway_pb2.ConnectRequest] = asyncio.Queue()

    def take(self, update: gateway_pb2.RoutesUpdate) -> None:
        self.updates.append(update)
        if update.full:
            self.routes.clear()
            self.groups.clear()
        self.routes |= {route.name: route for route in update.services}
        self.groups |= {group.name: group for group in update.groups}
        for name in update.removed:
            self.routes.pop(name, None)
        for name in update.removed_groups:
            self.groups.pop(name, None)
        if update.HasField("settings"):
            self.settings = update.settings
        if update.HasField("hosted"):
            self.hosted = list(update.hosted.gateways)
        self.generation = update.generation

    def hear(self, response: gateway_pb2.ConnectResponse) -> None:
        match response.WhichOneof("message"):
            case "update":
                self.take(response.update)
            case "explain":
                self.questions.append(response.explain)
                if self.answers is not None:
                    told = self.answers(response.explain)
                    self.say(explained=gateway_pb2.Explained(id=response.explain.id, explanation=told))
            case "watch_traffic":
                self.watched = list(response.watch_traffic.services)
                if self.watched and self.counts is not None:
                    self.say(traffic=gateway_pb2.TrafficReport(services=self.counts))

    def say(self, **message: Any) -> None:
        """Any message of a gateway, such as `status=…`."""
        self._out.put_nowait(gateway_pb2.ConnectRequest(**message))

    def endpoints(self, service: str) -> set[str]:
        route = self.routes.get(service)
        return {e.instance for b in route.backends for e in b.endpoints} if route else set()

    def applied(self) -> None:
        message = gateway_pb2.Applied(generation=self.generation, envoys=1)
        self._out.put_nowait(gateway_pb2.ConnectRequest(applied=message))

    def refuse(self, resource: str, message: str) -> None:
        refused = gateway_pb2.Refused(resources=[resource], message=message)
        self._out.put_nowait(gateway_pb2.ConnectRequest(refused=refused))


@asynccontextmanager
async def a_gateway(
    scheduler: RunningScheduler, name: str = "gateway", **hello_fields: Any
) -> AsyncIterator[LinkedGateway]:
    """A connected gateway; of a node when `node` is among the fields of its hello."""
    gateway = LinkedGateway()
    fields: dict[str, Any] = {"public_url": "http://127.0.0.1:9", "envoys": 1, **hello_fields}
    hello = gateway_pb2.GatewayHello(gateway=name, **fields)
    gateway._out.put_nowait(gateway_pb2.ConnectRequest(hello=hello))

    async def outgoing() -> AsyncIterator[gateway_pb2.ConnectRequest]:
        while True:
            yield await gateway._out.get()

    async def listen(call: Any) -> None:
        async for response in call:
            gateway.hear(response)

    async with dial(scheduler.address, scheduler.join_token) as channel:
        call = gateway_pb2_grpc.RoutesServiceStub(channel).Connect(outgoing(), timeout=120)
        listening = asyncio.create_task(listen(call))
        await until(lambda: gateway.updates, "the first routes")
        try:
            yield gateway
        finally:
            call.cancel()
            await asyncio.gather(listening, return_exceptions=True)


class FollowedFacts:
    """All that a follower of the facts knows by now."""

    def __init__(self) -> None:
        self.messages: list[facts_pb2.WatchResponse] = []
        self.services: dict[str, facts_pb2.ServiceFacts] = {}
        self.nodes: dict[str, facts_pb2.NodeFacts] = {}
        self.gateways: dict[str, facts_pb2.GatewayFacts] = {}

    def take(self, message: facts_pb2.WatchResponse) -> None:
        if message.full:
            self.services, self.nodes, self.gateways = {}, {}, {}
        self.services |= {each.name: each for each in message.services}
        self.nodes |= {each.name: each for each in message.nodes}
        self.gateways |= {each.name: each for each in message.gateways}
        for name in message.removed_services:
            del self.services[name]
        for name in message.removed_nodes:
            del self.nodes[name]
        for name in message.removed_gateways:
            del self.gateways[name]
        self.messages.append(message)


@asynccontextmanager
async def followed_facts(
    scheduler: RunningScheduler, token: str = "", component: str = "a test"
) -> AsyncIterator[FollowedFacts]:
    """Follows the facts, by default with the join token."""
    facts = FollowedFacts()

    async def listen(call: Any) -> None:
        async for message in call:
            facts.take(message)

    async with dial(scheduler.address, token or scheduler.join_token) as channel:
        request = facts_pb2.WatchRequest(component=component)
        call = facts_pb2_grpc.FactsServiceStub(channel).Watch(request, timeout=120)
        listening = asyncio.create_task(listen(call))
        try:
            await until(lambda: facts.messages or listening.done(), "the first facts")
            if not facts.messages:
                await listening
            yield facts
        finally:
            call.cancel()
            await asyncio.gather(listening, return_exceptions=True)
