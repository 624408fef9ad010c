"""Records with every field set to something that is not its default."""

from datetime import UTC, datetime, timedelta, timezone

from libs.domain.assets import Dataset, ImagePull, Secret
from libs.domain.records import (
    Event,
    Gpu,
    GpuFence,
    Instance,
    Node,
    ResourceGroup,
    Resources,
    Rollout,
    Service,
    ServiceVersion,
    Token,
)
from libs.domain.scaling import CronJobState, PolicyBefore
from libs.domain.states import (
    EventKind,
    InstanceState,
    NodeState,
    RolloutPhase,
    Runtime,
    SafetyLock,
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
    stable_version=2,
    safety_lock=SafetyLock.DANGEROUS,
    edits=4,
    idle_since=NOW,
    idle_warned_days=30,
)
ROLLOUT = Rollout(
    service="web",
    version=3,
    from_version=2,
    started_at=NOW,
    phase=RolloutPhase.PAUSED,
    why="batch 1 of 4 is done",
    partition="30%",
    batch_size="25%",
    interval_s=60,
    paused=True,
    promoted=True,
    released=1,
    stepped_at=NOW,
    finished_at=NOW,
    because="version 2 failed: web-1: exited with code 3",
    policies_before=(
        PolicyBefore("autoscaler", NOW),
        PolicyBefore(
            "cronScaler", None, '{"ScaleJobs":[]}', NOW, NOW, (CronJobState("day", "Failed", "w", 9),)
        ),
    ),
)
FENCE = GpuFence("n1", "GPU-1", "GpuXid", "XID 79: it fell off the bus", NOW, 3, NOW)
SECRET = Secret("registry", ("password", "user"), "gAAAA", NOW, NOW)
DATASET = Dataset("faces", "2", '{"nfs":{"server":"10.0.0.9"}}', NOW, "with masks")
PULL = ImagePull("pull-1", "python:3.11-slim", "lab", NOW, "secret://registry/auth")
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
    isolated=True,
    detached=True,
    replace_why="a replacement was asked for",
    restart_asked_at=NOW,
    run=2,
    cause="OutOfMemory",
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
    cuda_versions=("11.2", "12.4"),
    epoch=12,
    last_seen=NOW,
    agent_version="0.1.0",
)
GROUP = ResourceGroup("lab", "dedicated", NOW)
TOKEN = Token("tok-1", "admin", TokenRole.ADMIN, "ab" * 32, NOW)
EVENT = Event(NOW, EventKind.WARNING, "ImagePullFailed", "no such tag", "instance", "web-1", "web")
ALL = (SERVICE, VERSION, INSTANCE, NODE, GROUP, TOKEN, ROLLOUT, FENCE, SECRET, DATASET, PULL)
