"""The admin API in memory, for tests of what calls it. It refuses in the scheduler's words and statuses.

A created service goes through its phases at once, as far as `fate` says; tests may also write the rows
(`services`, `instances`, ...) and call `changed`.
"""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from enum import StrEnum
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from easel.admin.v1 import admin_pb2 as pb
from easel.common.v1 import common_pb2 as common
from libs.domain.errors import (
    AlreadyExists,
    Conflict,
    FailedPrecondition,
    InvalidRequest,
    InvalidSpec,
    NotFound,
    Unavailable,
)
from libs.domain.states import TokenRole
from libs.rpc.interceptors import BearerTokens, Refusals
from libs.rpc.server import Service, serving
from tests.support.fake_admin_rows import ScalingRows, TrafficRows

ADMIN_TOKEN = "an-admin-token"
JOIN_TOKEN = "a-join-token"


class Fate(StrEnum):
    """What becomes of the next created service."""

    READY = "ready"
    CRASHES = "crashes"
    STUCK = "stuck"


class FakeAdmin:
    """The rows, and the rules about them."""

    def __init__(self) -> None:
        self.services: dict[str, pb.Service] = {}
        self.specs: dict[str, list[str]] = {}
        self.instances: dict[str, pb.Instance] = {}
        # The instances that the newest scaling names.
        self.told_to_go: list[str] = []
        self.nodes: dict[str, pb.Node] = {}
        # Of a node that is taken away: instances that leave, those with room elsewhere, those without time.
        self.leaving = (0, 0, 0)
        self.groups: dict[str, pb.ResourceGroup] = {"public": pb.ResourceGroup(name="public", kind="public")}
        self.events: list[common.Event] = []
        self.tokens: dict[str, pb.Token] = {}
        self.logs: dict[str, list[bytes]] = {}
        self.keys: dict[str, str] = {}
        # What was put under each name, to be looked at by tests; and what is told of it.
        self.secret_values: dict[str, dict[str, str]] = {}
        self.secrets: dict[str, pb.Secret] = {}
        self.datasets: dict[tuple[str, str], pb.Dataset] = {}
        self.pulls: dict[str, pb.ImagePull] = {}
        self.traffic = TrafficRows()
        self.scaling = ScalingRows()
        self.findings: dict[str, list[pb.Finding]] = {}
        self.updates: list[pb.UpdateServiceRequest] = []
        self.fate = Fate.READY
        self.endpoint = "http://127.0.0.1:8800"
        self.address = ""
        self.page_limit = 1000
        # How many of the next calls end without an answer, as if the scheduler were restarting.
        self.away_for = 0
        self.watch_breaks = 0
        # How many instances were made; no id is given twice.
        self.made = 0
        # What happens once after the next answer to a call.
        self.after_answer: dict[str, Callable[[], None]] = {}
        self.calls: list[str] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._woken = asyncio.Event()

    def changed(self) -> None:
        """Wakes the watches. Safe to call from any thread."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        self._woken.set()
        self._woken = asyncio.Event()

    def change_from_now(self) -> asyncio.Event:
        """Set by the next change. To be taken before a look: what changes while it is told is not missed."""
        return self._woken

    def entering(self, call: str) -> None:
        self.calls.append(call)
        if self.away_for > 0:
            self.away_for -= 1
            raise Unavailable("the database is away; trying again")

    def answered(self, call: str) -> None:
        self.after_answer.pop(call, lambda: None)()

    def service(self, name: str) -> pb.Service:
        if name not in self.services:
            raise NotFound(f"no service named {name!r}")
        return self.services[name]

    def node(self, name: str) -> pb.Node:
        if name not in self.nodes:
            raise NotFound(f"no node named {name!r}")
        return self.nodes[name]

    def group(self, name: str) -> pb.ResourceGroup:
        if name not in self.groups:
            raise NotFound(f"no resource group named {name!r}")
        return self.groups[name]

    def add_node(self, name: str, **fields: Any) -> pb.Node:
        node = pb.Node(
            name=name,
            resource_group="public",
            state=common.NODE_STATE_READY,
            schedulable=True,
            address="127.0.0.1",
            runtime=common.RUNTIME_PROCESS,
            capacity=common.Resources(cpu_milli=2000, memory_mib=4096, disk_mib=10240),
            gpu_note="no NVIDIA driver on this host",
            last_seen=now(),
        )
        for key, value in fields.items():
            setattr(node, key, value)
        self.nodes[name] = node
        return node

    def happened(self, reason: str, why: str, service: str, subject: str = "", warning: bool = False) -> None:
        kind = common.Event.KIND_WARNING if warning else common.Event.KIND_NORMAL
        subject_kind = "instance" if subject else "service"
        self.events.append(
            common.Event(
                id=len(self.events) + 1,
                at=now(),
                kind=kind,
                reason=reason,
                why=why,
                subject_kind=subject_kind,
                subject=subject or service,
                service=service,
            )
        )
        self.changed()

    def create(self, text: str, key: str) -> tuple[pb.Service, list[str]]:
        spec = _parsed(text)
        name = spec.get("name") or spec.get("metadata", {}).get("name")
        if not isinstance(name, str) or not name:
            raise InvalidSpec("metadata.name", name, "a name for the service")
        if key and self.keys.get(key) == name:
            return self.services[name], []
        if name in self.services:
            raise AlreadyExists(f"a service named {name!r} exists; change it with `easel modify {name}`")
        self.keys[key] = name
        wanted = int(spec.get("metadata", {}).get("instance", 1))
        self.services[name] = pb.Service(
            name=name,
            id=f"svc-{name}",
            state=common.SERVICE_STATE_CREATING,
            why="accepted",
            version=1,
            wanted=wanted,
            resource_group=spec.get("metadata", {}).get("resource", "public"),
            group=spec.get("metadata", {}).get("group", ""),
            weight=-1,
            gateway=spec.get("networking", {}).get("gateway", "gateway"),
            endpoint=f"{self.endpoint}/api/predict/{name}",
            created_at=now(),
            updated_at=now(),
            revision=1,
            spec_json=json.dumps(spec, sort_keys=True),
        )
        self.specs[name] = [json.dumps(spec, sort_keys=True)]
        self.happened("ServiceCreated", f"{name} was created with {wanted} instances", name)
        self.resize(name)
        warnings = [f"{path}: unknown key, kept without effect" for path in spec if path.startswith("x-")]
        return self.services[name], warnings

    def resize(self, name: str) -> None:
        """Makes the instances that `fate` allows, and the service's numbers and state from them."""
        service = self.services[name]
        mine = [each for each in self.instances.values() if each.service == name]
        for extra in mine[service.wanted :]:
            del self.instances[extra.id]
        for _ in range(len(mine), service.wanted):
            self._add_instance(service)
        mine = [each for each in self.instances.values() if each.service == name]
        service.total = len(mine)
        service.ready = sum(each.ready for each in mine)
        service.pending = service.total - service.ready
        service.revision += 1
        self._judge(service)
        self.changed()

    def _add_instance(self, service: pb.Service) -> None:
        self.made += 1
        number = self.made
        instance = pb.Instance(
            id=f"{service.name}-{number}",
            service=service.name,
            version=service.version,
            created_at=now(),
            epoch=1,
            resources=common.Resources(cpu_milli=1000, memory_mib=512),
        )
        if self.fate is Fate.STUCK:
            instance.state, instance.why = common.INSTANCE_STATE_PENDING, "no node has 64 CPUs"
            service.pending_reasons[:] = ["public (1 node): needs 64 CPUs, largest free is 2"]
        elif self.fate is Fate.CRASHES:
            instance.state, instance.node = common.INSTANCE_STATE_CRASH_LOOP_BACK_OFF, "n1"
            instance.why = instance.last_exit = "exited with code 3"
            instance.restarts = 2
            self.logs[instance.id] = [b"Traceback: no module named flask\n"]
        else:
            instance.state, instance.node, instance.ready = common.INSTANCE_STATE_RUNNING, "n1", True
            instance.address, instance.port = "127.0.0.1", 20000 + number
            instance.runtime = common.RUNTIME_PROCESS
            instance.ready_at.CopyFrom(now())
            self.logs[instance.id] = [f"line {n}\n".encode() for n in range(1, 4)]
        self.instances[instance.id] = instance
        crashed = self.fate is Fate.CRASHES
        self.happened(
            "InstanceCrashed" if crashed else "InstanceReady" if instance.ready else "InstancePending",
            instance.why or f"{instance.id} is ready on {instance.node}",
            service.name,
            instance.id,
            warning=crashed,
        )

    def _judge(self, service: pb.Service) -> None:
        if self.fate is Fate.CRASHES:
            service.state, service.why = common.SERVICE_STATE_FAILED, "instance crashed: exited with code 3"
        elif self.fate is Fate.STUCK:
            service.state, service.why = common.SERVICE_STATE_WAITING, "waiting for a node with 64 CPUs"
        elif service.wanted == 0:
            service.state, service.why = common.SERVICE_STATE_STOPPED, "stopped by admin"
        else:
            service.state, service.running_version = common.SERVICE_STATE_RUNNING, service.version
            service.why = f"{service.ready} of {service.wanted} instances are ready"

    def update(self, request: pb.UpdateServiceRequest) -> pb.Service:
        service = self.service(request.name)
        if request.if_revision and request.if_revision != service.revision:
            raise Conflict(f"{request.name} changed since revision {request.if_revision}; read it again")
        self.updates.append(request)
        spec = self.after(request)
        if not request.to_version and json.dumps(spec, sort_keys=True) == service.spec_json:
            return service
        versions, before = self.specs[request.name], service.version
        service.spec_json = json.dumps(spec, sort_keys=True)
        if not request.to_version:
            versions.append(service.spec_json)
        service.version = request.to_version or len(versions)
        service.latest_version = len(versions)
        service.wanted = int(spec.get("metadata", {}).get("instance", service.wanted))
        service.rollout.CopyFrom(
            pb.Rollout(version=service.version, from_version=before, wanted=service.wanted, plan=request.plan)
        )
        staged = request.plan.partition or request.plan.batch_size or request.plan.paused
        return self.hold(request.name) if staged else self.roll(request.name)

    def after(self, request: pb.UpdateServiceRequest) -> dict[str, Any]:
        """The service.json as it would be after an update."""
        versions = self.specs[self.service(request.name).name]
        if request.to_version > len(versions):
            raise NotFound(f"{request.name} has no version {request.to_version}")
        if request.to_version:
            return _parsed(versions[request.to_version - 1])
        given = _parsed(request.spec_json)
        merge = request.mode != pb.UpdateServiceRequest.MODE_REPLACE
        return {**json.loads(self.service(request.name).spec_json), **given} if merge else given

    def hold(self, name: str) -> pb.Service:
        """Updates one instance and stops there, as a plan may ask."""
        service = self.service(name)
        service.rollout.phase, service.rollout.updated = pb.ROLLOUT_PHASE_PAUSED, 1
        service.rollout.why = "1 instance is updated; the rest waits for a promote"
        next(each for each in self.instances.values() if each.service == name).version = service.version
        self.resize(name)
        service.state = common.SERVICE_STATE_UPDATING
        return service

    def take_back(self, name: str, why: str, because: str = "") -> None:
        """Goes back to the version before by itself, as a scheduler does with an update that fails."""
        service = self.service(name)
        failed = service.version
        self.update(pb.UpdateServiceRequest(name=name, to_version=service.rollout.from_version))
        service.rollout.from_version, service.rollout.because = failed, because
        self.happened("RolloutRolledBack", why, name, warning=True)

    def roll(self, name: str) -> pb.Service:
        """Takes the update to its end."""
        rollout = self.service(name).rollout
        rollout.phase, rollout.updated = pb.ROLLOUT_PHASE_COMPLETED, rollout.wanted
        rollout.why = "all instances are updated"
        rollout.finished_at.CopyFrom(now())
        return self.renew(name)

    def renew(self, name: str) -> pb.Service:
        """Puts new instances in the place of all that are there."""
        service = self.service(name)
        for each in [each for each in self.instances.values() if each.service == name]:
            del self.instances[each.id]
        service.updated_at.CopyFrom(now())
        self.resize(name)
        return service

    def scale(self, name: str, wanted: int) -> pb.Service:
        service = self.service(name)
        if wanted > 100:
            raise InvalidRequest("instances", wanted, "at most 100")
        service.wanted = wanted
        self.happened("ServiceScaled", f"{name} goes to {wanted} instances", name)
        self.resize(name)
        return service

    def delete(self, name: str) -> None:
        self.service(name)
        del self.services[name]
        for each in [each for each in self.instances.values() if each.service == name]:
            del self.instances[each.id]
        self.changed()

    def delete_node(self, name: str) -> None:
        node = self.node(name)
        if node.instances and node.state != common.NODE_STATE_LOST:
            raise FailedPrecondition(f"node {name} holds {node.instances} instances; drain it first")
        del self.nodes[name]


def _parsed(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError as error:
        raise InvalidSpec("$", text[:40], "a JSON object") from error
    if not isinstance(found, dict):
        raise InvalidSpec("$", found, "a JSON object")
    return found


def now() -> Timestamp:
    stamp = Timestamp()
    stamp.GetCurrentTime()
    return stamp


@asynccontextmanager
async def fake_admin_serving(fake: FakeAdmin, listen: str = "127.0.0.1:0") -> AsyncIterator[FakeAdmin]:
    """Serves `fake` behind the scheduler's own interceptors; sets its `address`."""
    from tests.support.fake_admin_contracts import CONTRACTS

    fake._loop, fake._woken = asyncio.get_running_loop(), asyncio.Event()
    roles = {ADMIN_TOKEN: TokenRole.ADMIN, JOIN_TOKEN: TokenRole.JOIN}
    contracts = [
        Service(name, lambda server, add=add, make=make: add(make(fake), server))
        for name, (add, make) in CONTRACTS.items()
    ]
    guards = [Refusals(), BearerTokens(roles.get, dict.fromkeys(CONTRACTS, TokenRole.ADMIN))]
    async with serving(contracts, listen, drain_for=timedelta(0), interceptors=guards) as port:
        fake.address = f"127.0.0.1:{port}"
        yield fake


@contextmanager
def fake_admin_thread() -> Iterator[FakeAdmin]:
    """A served fake on an event loop in a thread, for tests that do not await."""
    fake = FakeAdmin()
    ready = threading.Event()
    ended: list[BaseException] = []
    stop: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def serve() -> None:
        async with fake_admin_serving(fake):
            stop.append((asyncio.get_running_loop(), asyncio.Event()))
            ready.set()
            await stop[0][1].wait()

    def run() -> None:
        try:
            asyncio.run(serve())
        except BaseException as error:
            ended.append(error)
            ready.set()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert ready.wait(20) and not ended, ended
    try:
        yield fake
    finally:
        loop, event = stop[0]
        loop.call_soon_threadsafe(event.set)
        thread.join(20)
