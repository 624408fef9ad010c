"""Whatever happens in whatever order, nothing is given twice."""

from collections import Counter
from dataclasses import replace

import hypothesis.strategies as st
import numpy as np
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from libs.domain.records import GpuFence, Node, Resources
from libs.domain.states import InstanceState, NodeState, Runtime
from services.scheduler.placement import Ask, Placement, Snapshot, Spot, Unplaced, place
from services.scheduler.placement.names import model_matches
from tests.unit.scheduler.placement.builders import an_instance
from tests.unit.scheduler.placement.worlds import asks, fences, nodes, resources

# Of the prices that worlds have, those that can be read.
PRICES = {"0.5": 0.5, "1": 1.0, "2e0": 2.0}


class Cluster(RuleBasedStateMachine):
    """A snapshot beside a model of plain dicts that is told the same and counts everything itself."""

    def __init__(self) -> None:
        super().__init__()
        self.snapshot = Snapshot()
        self.nodes: dict[str, Node] = {}
        self.placed: dict[str, Placement] = {}
        self.listens: dict[str, int] = {}
        self.fences: dict[tuple[str, str], GpuFence] = {}

    @rule(node=nodes())
    def a_node_joins_or_changes(self, node: Node) -> None:
        self.tell(node)

    @precondition(lambda self: self.nodes)
    @rule(data=st.data(), capacity=resources)
    def a_node_shrinks_or_grows(self, data: st.DataObject, capacity: Resources) -> None:
        self.tell(replace(self.some_node(data), capacity=capacity))

    @precondition(lambda self: self.nodes)
    @rule(data=st.data(), schedulable=st.booleans(), state=st.sampled_from(NodeState))
    def a_node_is_cordoned_or_goes_quiet(
        self, data: st.DataObject, schedulable: bool, state: NodeState
    ) -> None:
        self.tell(replace(self.some_node(data), schedulable=schedulable, state=state))

    @precondition(lambda self: self.nodes)
    @rule(data=st.data())
    def a_node_leaves(self, data: st.DataObject) -> None:
        name = self.some_node(data).name
        del self.nodes[name]
        self.snapshot.remove_node(name)

    @rule(fence=fences())
    def a_gpu_is_fenced_or_its_fence_lifted(self, fence: GpuFence) -> None:
        self.fences[fence.node, fence.uuid] = fence
        self.snapshot.upsert_fence(fence)

    @rule(wanted=asks)
    def an_instance_is_asked_for(self, wanted: Ask) -> None:
        if wanted.instance in self.placed:
            return
        answer = place(wanted, self.snapshot)
        able = {name for name in self.nodes if self.can_take(wanted, name)}
        if isinstance(answer, Unplaced):
            assert not able
            return
        assert answer.node in able
        self.check_gift(answer)
        self.snapshot.assume(answer)
        self.placed[wanted.instance] = answer

    @precondition(lambda self: self.placed)
    @rule(data=st.data())
    def an_instance_is_gone(self, data: st.DataObject) -> None:
        instance = data.draw(st.sampled_from(sorted(self.placed)))
        del self.placed[instance]
        self.listens.pop(instance, None)
        self.snapshot.release(instance)

    @precondition(lambda self: self.placed)
    @rule(
        data=st.data(),
        state=st.sampled_from([InstanceState.RUNNING, InstanceState.LOST]),
        port=st.sampled_from([0, 8_000, 20_000, 20_001]),
    )
    def an_instance_is_reported(self, data: st.DataObject, state: InstanceState, port: int) -> None:
        name = data.draw(st.sampled_from(sorted(self.placed)))
        self.listens[name] = port
        self.snapshot.upsert_instance(self.record(self.placed[name], state))
        if state is InstanceState.LOST:
            del self.placed[name], self.listens[name]

    @invariant()
    def no_gpu_belongs_to_two_instances(self) -> None:
        given = Counter(uuid for each in self.placed.values() for uuid in each.gpu_uuids)
        assert not given or max(given.values()) == 1

    @invariant()
    def no_port_of_a_node_belongs_to_two_instances(self) -> None:
        given = Counter((each.node, each.host_port) for each in self.placed.values() if each.host_port)
        assert not given or max(given.values()) == 1

    @invariant()
    def columns_kept_up_to_date_equal_columns_made_afresh(self) -> None:
        records = [self.record(each, InstanceState.RUNNING) for each in self.placed.values()]
        fresh = Snapshot.of(self.nodes.values(), records, self.fences.values())
        assert set(fresh.nodes) == set(self.snapshot.nodes)
        for name in self.nodes:
            assert told(self.snapshot, name) == told(fresh, name)
        assert (self.snapshot.typed, self.snapshot.columns.spot_nodes) == (
            fresh.typed,
            fresh.columns.spot_nodes,
        )
        occupied = self.snapshot.columns.standing != 0
        assert int(np.count_nonzero(occupied)) == len(self.nodes)

    def tell(self, node: Node) -> None:
        self.nodes[node.name] = node
        self.snapshot.upsert_node(node)

    def some_node(self, data: st.DataObject) -> Node:
        return self.nodes[data.draw(st.sampled_from(sorted(self.nodes)))]

    def on(self, node: str) -> list[Placement]:
        return [each for each in self.placed.values() if each.node == node]

    def can_take(self, ask: Ask, name: str) -> bool:
        node, there = self.nodes[name], [each.ask for each in self.on(name)]
        stands = node.state is NodeState.READY and node.schedulable and not node.draining
        stands = stands and node.reclaim_at is None
        enough = all(
            not wanted or wanted + sum(getattr(each, what) for each in there) <= getattr(node.capacity, what)
            for what in ("cpu_milli", "memory_mib", "disk_mib")
            for wanted in [getattr(ask, what)]
        )
        taken = {uuid for each in self.placed.values() for uuid in each.gpu_uuids}
        free = [gpu for gpu in node.gpus if gpu.uuid in self.usable(node) - taken]
        fitting = [gpu for gpu in free if not ask.gpu_model or model_matches(ask.gpu_model, gpu.model)]
        ports = {*range(node.first_port, node.last_port + 1), ask.port} - self.taken_ports(name)
        port = node.runtime is Runtime.DOCKER or any(each >= 1024 for each in ports)
        return (
            stands
            and node.resource_group == ask.resource_group
            and enough
            and len(fitting) >= ask.gpus
            and port
            and ask.instance_type in ("", node.labels.get("easel/instance-type", ""))
            and self.is_of_the_market(ask, node)
            and (not ask.cuda or ask.cuda in node.cuda_versions)
            and f"{node.gpu_driver_version}.".startswith(f"{ask.gpu_driver}." if ask.gpu_driver else "")
        )

    def is_of_the_market(self, ask: Ask, node: Node) -> bool:
        spot = node.labels.get("easel/spot", "").lower() == "true"
        price = PRICES.get(node.labels.get("easel/price", ""))
        if ask.spot is Spot.ONLY:
            return spot and price is not None and price <= ask.spot_limit
        return ask.spot is Spot.ANY or not spot

    def usable(self, node: Node) -> set[str]:
        standing = {key for key, fence in self.fences.items() if fence.lifted_at is None}
        return {gpu.uuid for gpu in node.gpus if gpu.healthy and (node.name, gpu.uuid) not in standing}

    def taken_ports(self, name: str) -> set[int]:
        taken = {*self.nodes[name].busy_ports, *(each.host_port for each in self.on(name))}
        if self.nodes[name].runtime is Runtime.PROCESS:
            taken |= {self.listens.get(each.ask.instance, 0) for each in self.on(name)}
        return taken - {0}

    def check_gift(self, gift: Placement) -> None:
        node = self.nodes[gift.node]
        assert len(set(gift.gpu_uuids)) == gift.ask.gpus
        assert set(gift.gpu_uuids) <= self.usable(node)
        assert bool(gift.host_port) == (node.runtime is Runtime.PROCESS)
        assert gift.host_port not in self.taken_ports(gift.node)

    def record(self, placement: Placement, state: InstanceState):  # type: ignore[no-untyped-def]
        ask = placement.ask
        return an_instance(
            ask.instance,
            service=ask.service,
            state=state,
            node=placement.node,
            gpu_uuids=placement.gpu_uuids,
            host_port=placement.host_port,
            port=self.listens.get(ask.instance, 0),
            resources=Resources(ask.cpu_milli, ask.memory_mib, ask.disk_mib, ask.gpus),
        )


def told(snapshot: Snapshot, name: str) -> dict[str, object]:
    """All that the columns say of one node, by meaning rather than by number."""
    columns, row = snapshot.columns, snapshot.row(name)
    vectors = (
        "standing open free_cpu free_memory free_disk load free_gpus gpuless gpus_in_use gpus_out free_ports "
        "firm price"
    )
    return {
        **{each: getattr(columns, each)[row].item() for each in vectors.split()},
        "group": columns.groups[snapshot.node(name).resource_group] == columns.group[row],
        "zone": columns.zones[snapshot.node(name).zone] == columns.zone[row],
        "driver": columns.drivers[snapshot.node(name).gpu_driver_version] == columns.driver[row],
        "type": columns.types[snapshot.node(name).labels.get("easel/instance-type", "")]
        == columns.instance_type[row],
        "cuda": {version for version, has in columns.has_cuda.items() if has[row]},
        "ports": columns.taken_ports[row],
        "models": {model: int(free[row]) for model, free in columns.free_by_model.items() if free[row]},
        "images": {image for image, has in columns.has_image.items() if has[row]},
        "services": {
            name: tally.by_row[row] for name, tally in columns.services.items() if row in tally.by_row
        },
        "tie_break": columns.tie_break[row].item(),
    }


Cluster.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestPlacementNeverOverAllocates = Cluster.TestCase
