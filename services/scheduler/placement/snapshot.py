"""What placement knows of the nodes, and the columns that are kept in step with it."""

from collections import Counter, defaultdict
from collections.abc import Iterable, KeysView
from dataclasses import replace
from typing import Self

import numpy as np

from libs.domain.records import PUBLIC_GROUP, Gpu, GpuFence, Instance, Node
from libs.domain.states import InstanceState, Runtime
from services.scheduler.placement.ask import Held, Placement, held_by_instance, held_by_placement
from services.scheduler.placement.columns import Columns, Standing, standing
from services.scheduler.placement.names import image_key
from services.scheduler.placement.node_view import NodeView, load_percent, port_range, taken_ports
from services.scheduler.placement.tally import Tally
from services.scheduler.pool.machine import machine_of

# More nodes than this cannot be told apart by the tie break.
MAX_NODES = 1 << 20


class Snapshot:
    """Nodes and what instances hold on them. Changed only by its owner, one change at a time.

    An instance holds its share from `assume` (or `upsert_instance`) until `release`. What is held on a node
    that is not there is remembered and counts again when the node comes back. A GPU is held by its UUID,
    whichever node reports it. A fenced GPU is as one that its node calls unhealthy.
    """

    def __init__(self, rows: int = 0) -> None:
        self._columns = Columns(rows)
        # As their agents say, and with the fenced GPUs among the unhealthy ones.
        self._reported: dict[str, Node] = {}
        self._nodes: dict[str, Node] = {}
        self._fenced: set[tuple[str, str]] = set()
        self._rows: dict[str, int] = {}
        self._names = [""] * rows
        self._unused = list(range(rows - 1, -1, -1))
        self._ranked = True
        self._held: dict[str, Held] = {}
        self._on: defaultdict[str, dict[str, Held]] = defaultdict(dict)
        self._gpu_holders: defaultdict[str, set[str]] = defaultdict(set)
        self._gpu_nodes: defaultdict[str, set[str]] = defaultdict(set)
        self._image_nodes: Counter[str] = Counter()
        self._typed: set[str] = set()

    @classmethod
    def of(
        cls,
        nodes: Iterable[Node],
        instances: Iterable[Instance] = (),
        fences: Iterable[GpuFence] = (),
    ) -> Self:
        nodes = tuple(nodes)
        snapshot = cls(len(nodes))
        for fence in fences:
            snapshot.upsert_fence(fence)
        for instance in instances:
            snapshot.upsert_instance(instance)
        for node in nodes:
            snapshot.upsert_node(node)
        return snapshot

    @property
    def columns(self) -> Columns:
        """All nodes as vectors, for the rules to read."""
        if not self._ranked:
            for rank, name in enumerate(sorted(self._rows)):
                self._columns.tie_break[self._rows[name]] = MAX_NODES - 1 - rank
            self._ranked = True
        return self._columns

    @property
    def nodes(self) -> KeysView[str]:
        return self._nodes.keys()

    @property
    def typed(self) -> bool:
        """Whether a public node says what type it is."""
        return bool(self._typed)

    def row(self, node: str) -> int:
        return self._rows[node]

    def name(self, row: int) -> str:
        return self._names[row]

    def node(self, name: str) -> Node:
        return self._nodes[name]

    def held(self, instance: str) -> Held | None:
        return self._held.get(instance)

    def held_on(self, node: str) -> tuple[Held, ...]:
        return tuple(self._on[node].values()) if node in self._on else ()

    def free_gpus(self, node: str) -> tuple[Gpu, ...]:
        """Healthy GPUs of the node that no instance holds."""
        return tuple(
            gpu for gpu in self._nodes[node].gpus if gpu.healthy and gpu.uuid not in self._gpu_holders
        )

    def view(self, node: str, service: str) -> NodeView:
        """One node for the rules' one-node form. Slow: counts the service's instances afresh."""
        zone = self._nodes[node].zone
        near = Counter(
            each.node for each in self._held.values() if each.service == service and each.node in self._nodes
        )
        return NodeView(
            node=self._nodes[node],
            held=self.held_on(node),
            free_gpus=self.free_gpus(node),
            of_service=near[node],
            of_service_in_zone=sum(n for name, n in near.items() if self._nodes[name].zone == zone),
        )

    def assume(self, placement: Placement) -> None:
        """Counts the placement as done, so that nothing else is given the same."""
        self._hold(held_by_placement(placement))

    def upsert_instance(self, instance: Instance) -> None:
        """Holds what a placed instance has. One that is lost or not placed holds nothing."""
        if instance.node and instance.state is not InstanceState.LOST:
            self._hold(held_by_instance(instance))
        else:
            self.release(instance.id)

    def release(self, instance: str) -> None:
        """Gives back all that the instance holds. Safe to repeat."""
        held = self._held.pop(instance, None)
        if held is None:
            return
        self._on[held.node].pop(instance)
        if not self._on[held.node]:
            del self._on[held.node]
        for uuid in held.gpu_uuids:
            self._gpu_holders[uuid].discard(instance)
            if not self._gpu_holders[uuid]:
                del self._gpu_holders[uuid]
        self._count(held, -1)

    def upsert_node(self, node: Node) -> None:
        """Adds the node, or takes over whatever changed about it."""
        if node.name in self._rows:
            self._clear(node.name)
        else:
            self._give_row(node.name)
        self._reported[node.name] = node
        self._nodes[node.name] = self._without_fenced(node)
        self._write(self._nodes[node.name])

    def upsert_fence(self, fence: GpuFence) -> None:
        """Takes the GPU out of use, or back in when the fence is a lifted one."""
        if fence.lifted_at is None:
            self._fenced.add((fence.node, fence.uuid))
        else:
            self._fenced.discard((fence.node, fence.uuid))
        if fence.node in self._reported:
            self.upsert_node(self._reported[fence.node])

    def remove_fence(self, fence: GpuFence) -> None:
        """Forgets the fence. Safe to repeat."""
        self.upsert_fence(replace(fence, lifted_at=fence.lifted_at or fence.at))

    def remove_node(self, name: str) -> None:
        """Forgets the node. What instances hold there stays held. Safe to repeat."""
        if name not in self._nodes:
            return
        self._clear(name)
        row = self._rows.pop(name)
        del self._nodes[name], self._reported[name]
        self._names[row] = ""
        self._unused.append(row)
        self._ranked = False

    def _without_fenced(self, node: Node) -> Node:
        if not any((node.name, gpu.uuid) in self._fenced for gpu in node.gpus):
            return node
        gpus = (
            replace(gpu, healthy=gpu.healthy and (node.name, gpu.uuid) not in self._fenced)
            for gpu in node.gpus
        )
        return replace(node, gpus=tuple(gpus))

    def _hold(self, held: Held) -> None:
        if self._held.get(held.instance) == held:
            return
        self.release(held.instance)
        self._held[held.instance] = held
        self._on[held.node][held.instance] = held
        for uuid in held.gpu_uuids:
            self._gpu_holders[uuid].add(held.instance)
        self._count(held, 1)

    def _count(self, held: Held, sign: int) -> None:
        """Adds what is held to its node's row, or takes it away."""
        row = self._rows.get(held.node)
        if row is not None:
            columns, resources = self._columns, held.resources
            columns.free_cpu[row] -= sign * resources.cpu_milli
            columns.free_memory[row] -= sign * resources.memory_mib
            columns.free_disk[row] -= sign * resources.disk_mib
            self._write_load(row)
            columns.services.setdefault(held.service, Tally()).add(row, sign)
            self._drop_if_empty(held.service)
            if held.host_port or held.listens_on:
                self._write_ports(row)
            if held.gpu_uuids:
                self._write_gpus(held.node)
        for uuid in held.gpu_uuids:
            for other in self._gpu_nodes.get(uuid, set()) - {held.node}:
                self._write_gpus(other)

    def _drop_if_empty(self, service: str) -> None:
        if not self._columns.services[service].by_row:
            del self._columns.services[service]

    def _give_row(self, name: str) -> None:
        if not self._unused:
            before = self._columns.rows
            self._columns.grow()
            self._unused = list(range(self._columns.rows - 1, before - 1, -1))
            self._names.extend([""] * len(self._unused))
        row = self._unused.pop()
        self._rows[name], self._names[row] = row, name
        self._ranked = False

    def _clear(self, name: str) -> None:
        """Takes the node out of every column that counts it."""
        row, node, columns = self._rows[name], self._nodes[name], self._columns
        columns.standing[row], columns.open[row] = Standing.ABSENT, False
        columns.spot_nodes -= not columns.firm[row]
        self._typed.discard(name)
        for held in self.held_on(name):
            columns.services[held.service].add(row, -1)
            self._drop_if_empty(held.service)
        for gpu in node.gpus:
            self._gpu_nodes[gpu.uuid].discard(name)
            if not self._gpu_nodes[gpu.uuid]:
                del self._gpu_nodes[gpu.uuid]
        for free in columns.free_by_model.values():
            free[row] = 0
        for image in {image_key(each) for each in node.images}:
            columns.has_image[image][row] = False
            self._image_nodes[image] -= 1
            if not self._image_nodes[image]:
                del self._image_nodes[image], columns.has_image[image]
        for version in node.cuda_versions:
            columns.cuda(version)[row] = False

    def _write(self, node: Node) -> None:
        row, columns = self._rows[node.name], self._columns
        held = self.held_on(node.name)
        columns.standing[row] = standing(node)
        columns.open[row] = standing(node) is Standing.OPEN
        columns.group[row] = columns.groups.setdefault(node.resource_group, len(columns.groups) + 1)
        columns.zone[row] = columns.zones.setdefault(node.zone, len(columns.zones) + 1)
        offered = node.capacity
        columns.free_cpu[row] = offered.cpu_milli - sum(each.resources.cpu_milli for each in held)
        columns.free_memory[row] = offered.memory_mib - sum(each.resources.memory_mib for each in held)
        columns.free_disk[row] = offered.disk_mib - sum(each.resources.disk_mib for each in held)
        self._write_load(row)
        for each in held:
            columns.services.setdefault(each.service, Tally()).add(row, 1)
        for gpu in node.gpus:
            self._gpu_nodes[gpu.uuid].add(node.name)
        self._write_gpus(node.name)
        columns.hands_out_ports[row] = node.runtime is Runtime.PROCESS
        self._write_ports(row)
        driver = node.gpu_driver_version
        columns.driver[row] = columns.drivers.setdefault(driver, len(columns.drivers) + 1)
        self._write_machine(node)
        for version in node.cuda_versions:
            columns.cuda(version)[row] = True
        for image in {image_key(each) for each in node.images}:
            columns.image(image)[row] = True
            self._image_nodes[image] += 1

    def _write_machine(self, node: Node) -> None:
        row, columns, machine = self._rows[node.name], self._columns, machine_of(node.labels)
        columns.firm[row] = not machine.spot
        columns.spot_nodes += machine.spot
        columns.price[row] = np.inf if machine.price is None else machine.price
        columns.instance_type[row] = columns.types.setdefault(machine.instance_type, len(columns.types) + 1)
        if machine.instance_type and node.resource_group == PUBLIC_GROUP:
            self._typed.add(node.name)

    def _write_load(self, row: int) -> None:
        columns, offered = self._columns, self._nodes[self._names[row]].capacity
        columns.load[row] = load_percent(offered, int(columns.free_cpu[row]), int(columns.free_memory[row]))

    def _write_gpus(self, name: str) -> None:
        row, columns, node = self._rows[name], self._columns, self._nodes[name]
        free = self.free_gpus(name)
        columns.free_gpus[row] = len(free)
        columns.gpuless[row] = not any(gpu.healthy for gpu in node.gpus)
        columns.gpus_out[row] = sum(not gpu.healthy for gpu in node.gpus)
        columns.gpus_in_use[row] = any(each.gpu_uuids for each in self.held_on(name))
        by_model = Counter(gpu.model for gpu in free)
        for model in {gpu.model for gpu in node.gpus}:
            columns.model(model)[row] = by_model[model]

    def _write_ports(self, row: int) -> None:
        name = self._names[row]
        taken = taken_ports(self._nodes[name], self.held_on(name))
        offered = port_range(self._nodes[name])
        self._columns.taken_ports[row] = taken
        self._columns.free_ports[row] = len(offered) - sum(port in offered for port in taken)
