"""Records with every field set to something that is not its default."""

from datetime import UTC, datetime, timedelta, timezone

from libs.domain.records import (
    Event,
    Gpu,
    Instance,
    Node,
    ResourceGroup,
    Resources,
    Service,
    ServiceVersion,
    Token,
)
from libs.domain.states import (
    EventKind,
    InstanceState,
    NodeState,
    Runtime,
    ServiceState,
    TokenRole,
)

NOW = datetime(2026, 3, 4, 5, 6, 7, 890123, tzinfo=UTC)
SHANGHAI = timezone(timedelta(hours=8))

SERVICE = Service(
    name="web",
    id="s-1",
    version=3,
    wanted=2,
    token="t0k€n",
    created_at=NOW,
    updated_at=NOW.astimezone(SHANGHAI),
    state=ServiceState.UPDATING,
    why="two of three",
    stopped=True,
    deleting=True,
    resource_group="lab",
    labels={"team": "vision"},
    traceparent="00-aa-bb-01",
    idempotency_key="k1",
    restarted_at=NOW,
)
VERSION = ServiceVersion("web", 3, '{"name":"web"}', NOW, "made by hand")
INSTANCE = Instance(
    id="web-1",
    service="web",
    version=3,
    created_at=NOW,
    state=InstanceState.RUNNING,
    why="answers",
    ready=True,
    node="n1",
    epoch=7,
    address="10.0.0.1",
    port=8000,
    host_port=20_001,
    restarts=2,
    gpu_uuids=("GPU-1", "GPU-2"),
    resources=Resources(1_500, 2_048, 10_240, 2),
    last_exit="exited with code 3",
    started_at=NOW,
    ready_at=NOW,
    drain_started_at=NOW,
    stopping=True,
    traceparent="00-cc-dd-01",
)
NODE = Node(
    name="n1",
    created_at=NOW,
    resource_group="lab",
    state=NodeState.SUSPECT,
    why="quiet for 12 s",
    schedulable=False,
    draining=True,
    address="10.0.0.1",
    zone="a",
    runtime=Runtime.DOCKER,
    capacity=Resources(64_000, 1 << 40, 1 << 41, 2),
    gpus=(Gpu("GPU-2", 0, "NVIDIA L4", 23_034), Gpu("GPU-1", 1, "NVIDIA L4", 23_034, False, "XID 79")),
    gpu_note="driver answers",
    gpu_driver_version="570.1",
    labels={"rack": "7"},
    images=("repo/app:1",),
    first_port=20_000,
    last_port=29_999,
    busy_ports=(20_007,),
    epoch=12,
    last_seen=NOW,
    agent_version="0.1.0",
)
GROUP = ResourceGroup("lab", "dedicated", NOW)
TOKEN = Token("tok-1", "admin", TokenRole.ADMIN, "ab" * 32, NOW)
EVENT = Event(NOW, EventKind.WARNING, "ImagePullFailed", "no such tag", "instance", "web-1", "web")
ALL = (SERVICE, VERSION, INSTANCE, NODE, GROUP, TOKEN)
