"""One agent: what it says of its node, and what it does about what it is told."""

import asyncio
import logging
import uuid
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import PackageNotFoundError, version

from easel.agent.v1 import agent_pb2 as pb
from libs.domain.errors import Unavailable
from libs.domain.states import Runtime as RuntimeName
from services.agent.board import Board
from services.agent.gpu import Nvml
from services.agent.images import ImageKeeper, wishes_of
from services.agent.inventory import Inventory, Reserve, cuda_versions, host_capacity
from services.agent.memory import Memory
from services.agent.mounts import HostDirectories
from services.agent.reclaim import ReclaimSignal
from services.agent.reconciler import Reconciler
from services.agent.runtime.listeners import listening_sockets
from services.agent.runtime.port import Runtime
from services.agent.settings import Settings
from services.agent.wire import inventory_to_proto, telemetry_to_proto, trouble_to_proto, wanted_of

log = logging.getLogger(__name__)

_IMAGES_WITHIN = 1.0


class Obedience:
    """Does what the scheduler says, unless it is older than what it said before."""

    def __init__(
        self, memory: Memory, reconciler: Reconciler, images: ImageKeeper, directories: HostDirectories
    ) -> None:
        self._memory, self._reconciler, self._directories = memory, reconciler, directories
        self._images = images
        self._told = asyncio.Event()

    def obey(self, desired: pb.DesiredState) -> None:
        """Remembers it first, then acts, also on a full disk. An older epoch is refused and logged."""
        if desired.epoch < self._memory.epoch:
            why = f"epoch {desired.epoch} is older than {self._memory.epoch}, which was obeyed before"
            log.warning("refused an old desired state", extra={"why": why})
            return
        try:
            self._memory.keep(desired)
        except OSError as refused:
            log.error("what is wanted will not survive a restart", extra={"why": str(refused)})
        self._told.set()
        self._want(desired)

    async def act_alone(self, after: float) -> None:
        """Goes on with what was wanted last when the scheduler says nothing for so long."""
        desired = self._memory.desired
        if desired is None:
            return
        try:
            async with asyncio.timeout(after):
                await self._told.wait()
        except TimeoutError:
            log.warning("no word from the scheduler; keeping up what it wanted last")
            self._want(desired)

    def _want(self, desired: pb.DesiredState) -> None:
        self._reconciler.want(wanted_of(desired, self._directories))
        self._images.want(wishes_of(desired))


@dataclass(frozen=True)
class View:
    """Looks at the node as it is now."""

    settings: Settings
    runtime: Runtime
    nvml: Nvml
    board: Board
    reclaim: ReclaimSignal = field(default_factory=partial(ReclaimSignal, None))

    async def inventory(self) -> Inventory:
        """What is free is for the scheduler to tell; this is what there is."""
        images: tuple[str, ...] = ()
        # An engine that is away or hangs is no word about the node, and keeps no heartbeat back.
        with suppress(Unavailable, TimeoutError):
            async with asyncio.timeout(_IMAGES_WITHIN):
                images = tuple(await self.runtime.images())
        return await asyncio.to_thread(self._look, images)

    def _look(self, images: tuple[str, ...]) -> Inventory:
        settings, process = self.settings, self.runtime.name is RuntimeName.PROCESS
        devices = self.nvml.inventory()
        reserve = Reserve(settings.reserved_cpu_milli, settings.reserved_memory_mib)
        instances = self.board.ports()
        # Not only of the range: an instance is given the port it declares, where that is free.
        others = sorted({port for port, _ in listening_sockets()} - instances)
        return Inventory(
            capacity=host_capacity(settings.data_dir, len(devices.gpus), reserve),
            runtime=self.runtime.name,
            address=settings.address,
            zone=settings.zone,
            labels=settings.labels,
            gpus=devices.gpus,
            gpu_note=devices.note,
            gpu_driver_version=devices.driver_version,
            images=images,
            first_port=settings.first_port if process else 0,
            last_port=settings.last_port if process else 0,
            busy_ports=tuple(others) if process else (),
            cuda_versions=cuda_versions(settings.cuda_root),
            reclaim=self.reclaim.announced,
        )


class Voice:
    """What the agent says when a stream begins, and every few seconds."""

    def __init__(self, view: View, memory: Memory) -> None:
        self._view, self._memory = view, memory
        self._agent = uuid.uuid4().hex

    async def hello(self) -> pb.Hello:
        """Without the instances, which the link adds when it says it."""
        return pb.Hello(
            node=self._view.settings.node,
            agent_version=_own_version(),
            epoch=self._memory.epoch,
            inventory=inventory_to_proto(await self._view.inventory()),
            resource_group=self._view.settings.resource_group,
            agent=self._agent,
        )

    async def heartbeat(self) -> pb.Heartbeat:
        inventory = inventory_to_proto(await self._view.inventory())
        readings = await asyncio.to_thread(self._view.nvml.telemetry)
        return pb.Heartbeat(
            inventory=inventory,
            gpus=[telemetry_to_proto(reading) for reading in readings],
            gpu_troubles=[trouble_to_proto(trouble) for trouble in self._view.nvml.told()],
        )

    def logs(self, instance: str, tail: int, follow: bool) -> AsyncIterator[bytes]:
        return self._view.runtime.logs(instance, tail, follow)


def _own_version() -> str:
    try:
        return version("easel")
    except PackageNotFoundError:
        return "unknown"
