"""Strategies for small, crowded clusters in which every rule has something to refuse."""

from hypothesis import strategies as st

from libs.domain.records import GpuFence, Node, Resources
from libs.domain.states import NodeState, Runtime
from services.scheduler.placement import Ask, Spot, Spread
from tests.unit.scheduler.placement.builders import EPOCH, a_gpu, a_node

NAMES = [f"n{i}" for i in range(5)]
GROUPS = ["public", "lab"]
ZONES = ["", "a", "b"]
MODELS = ["NVIDIA A100-SXM4-80GB", "NVIDIA A10"]
IMAGES = ["repo/app", "repo/app:latest", "repo/other:1"]
SERVICES = ["web", "llm"]
CUDAS = ["11.2", "12.4"]
DRIVERS = ["", "550.54.15", "550.127.08"]
UUIDS = [f"gpu-{i}" for i in range(8)]

resources = st.builds(
    Resources,
    cpu_milli=st.integers(0, 6_000),
    memory_mib=st.integers(0, 8),
    disk_mib=st.integers(0, 8),
)


labels = st.fixed_dictionaries(
    {},
    optional={
        "easel/instance-type": st.sampled_from(["", "a.small", "b.large"]),
        "easel/price": st.sampled_from(["0.5", "1", "2e0", "-1", "nan", "inf", "much", ""]),
        "easel/spot": st.sampled_from(["true", "TRUE", "false", "perhaps"]),
    },
)


@st.composite
def nodes(draw: st.DrawFn, name: str | None = None) -> Node:
    """Any node: any standing, size, devices (a device may be reported by two nodes) and ports."""
    first = draw(st.sampled_from([0, 20_000]))
    uuids = draw(st.lists(st.sampled_from(UUIDS), unique=True, max_size=4))
    return a_node(
        name or draw(st.sampled_from(NAMES)),
        resource_group=draw(st.sampled_from(["public", *GROUPS])),
        state=draw(st.sampled_from([NodeState.READY, *NodeState])),
        schedulable=draw(st.sampled_from([True, True, False])),
        draining=draw(st.sampled_from([False, False, True])),
        zone=draw(st.sampled_from(ZONES)),
        runtime=draw(st.sampled_from(Runtime)),
        capacity=draw(resources),
        gpus=tuple(
            a_gpu(uuid, i, draw(st.sampled_from(MODELS)), draw(st.sampled_from([True, True, False])))
            for i, uuid in enumerate(uuids)
        ),
        images=tuple(draw(st.lists(st.sampled_from(IMAGES), unique=True, max_size=2))),
        first_port=first,
        last_port=first and first + draw(st.integers(-1, 2)),
        cuda_versions=tuple(draw(st.lists(st.sampled_from(CUDAS), unique=True, max_size=2))),
        labels=draw(labels),
        reclaim_at=draw(st.sampled_from([None, None, None, EPOCH])),
        gpu_driver_version=draw(st.sampled_from(DRIVERS)),
        busy_ports=tuple(draw(st.lists(st.sampled_from([8_000, 20_000, 20_001]), unique=True))),
    )


@st.composite
def fences(draw: st.DrawFn) -> GpuFence:
    """Around any GPU of any node, also of none; standing or lifted."""
    node, uuid = draw(st.sampled_from(NAMES)), draw(st.sampled_from(UUIDS))
    lifted_at = draw(st.sampled_from([None, None, EPOCH]))
    return GpuFence(node, uuid, "Xid79", "it failed", EPOCH, lifted_at=lifted_at)


asks = st.builds(
    Ask,
    instance=st.integers(0, 10**9).map(lambda number: f"i{number}"),
    service=st.sampled_from(SERVICES),
    resource_group=st.sampled_from(["public", *GROUPS, "absent"]),
    cpu_milli=st.integers(0, 2_000),
    memory_mib=st.integers(0, 3),
    disk_mib=st.integers(0, 3),
    gpus=st.sampled_from([0, 0, 1, 2]),
    gpu_model=st.sampled_from(["", "", "A100", "a10", "T4"]),
    port=st.sampled_from([0, 80, 8_000, 20_001]),
    spread=st.sampled_from([*Spread]),
    image=st.sampled_from(["", *IMAGES]),
    cuda=st.sampled_from(["", "", "", *CUDAS, "8.0"]),
    gpu_driver=st.sampled_from(["", "", "", "550", "550.54.15", "470"]),
    instance_type=st.sampled_from(["", "", "a.small", "c.absent"]),
    spot=st.sampled_from([*Spot]),
    spot_limit=st.sampled_from([0.0, 0.5, 1.5]),
)
