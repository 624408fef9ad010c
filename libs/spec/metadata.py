"""`metadata`: who the service is, how large an instance is, where it may run and how it is replaced."""

from typing import Annotated

from libs.spec.quantity import CountOrPercent
from libs.spec.scalars import (
    Cores,
    Count,
    Flag,
    InstanceShare,
    MemoryMib,
    Milliseconds,
    OptionalText,
    PositiveCount,
    PositiveSeconds,
    ScalarText,
    Seconds,
    ServiceName,
    SizeInGib,
    Switch,
    UrlPath,
    WholeGib,
    choice,
    whole,
)
from libs.spec.section import Section

DEFAULT_KEEPALIVE_MS = 5000
# As long as Kubernetes gives a deployment.
DEFAULT_PROGRESS_DEADLINE_S = 600
DEFAULT_SURGE = CountOrPercent(2, percent=True)


class Spread(Section):
    """`metadata.scheduling.spread`: over what instances are spread."""

    policy: Annotated[str, choice("host", "zone", "default")] = "default"


class Scheduling(Section):
    """`metadata.scheduling`."""

    spread: Spread = Spread()


class Rpc(Section):
    """`metadata.rpc`: how one request is treated. Times in milliseconds, rates in requests a second."""

    batching: Flag = False
    max_batch_size: PositiveCount = 16
    max_batch_timeout: Milliseconds = 50
    keepalive: Milliseconds = DEFAULT_KEEPALIVE_MS
    io_threads: PositiveCount = 4
    worker_threads: PositiveCount = 5
    max_queue_size: PositiveCount = 64
    rate_limit: Annotated[int, whole(0, 1_000_000_000, "requests a second, 0 for none")] = 0
    enable_sigterm: Flag = False
    enable_jemalloc: Switch = False
    proxy_path: UrlPath | None = None


class RollingStrategy(Section):
    """`metadata.rolling_strategy`: how many instances an update may add and may lack."""

    max_surge: InstanceShare = DEFAULT_SURGE
    max_unavailable: InstanceShare | None = None
    # Easel's own: a new version that fails is taken back by itself.
    auto_rollback: Flag = False
    # Easel's own: what has named a cause for so long does not mend itself.
    progress_deadline_seconds: PositiveSeconds = DEFAULT_PROGRESS_DEADLINE_S


class Eas(Section):
    """`metadata.eas`, mostly written as dotted keys. Times in seconds."""

    termination_grace_period: Seconds | None = None


class Metadata(Section):
    """`metadata`. Cores, MiB for `memory`, GiB for `shm_size` and `gpu_memory`."""

    name: ServiceName
    instance: Count = 1
    workspace_id: ScalarText | None = None
    region: OptionalText = None
    cpu: Cores | None = None
    memory: MemoryMib | None = None
    gpu: Annotated[int, whole(0, 1024)] = 0
    gpu_model: OptionalText = None
    gpu_memory: WholeGib | None = None
    gpu_core_percentage: Annotated[int, whole(1, 100, "percent of one GPU")] | None = None
    qos: Annotated[str, choice("BestEffort", empty=True)] = ""
    disk: SizeInGib | None = None
    shm_size: WholeGib | None = None
    rdma: Annotated[int, whole(0, 64)] = 0
    cuda: ScalarText | None = None
    enable_webservice: Flag = False
    enable_grpc: Flag = False
    type: OptionalText = None
    workload_type: OptionalText = None
    group: OptionalText = None
    resource: OptionalText = None
    quota_id: OptionalText = None
    resource_burstable: Flag = False
    resource_rebalancing: Flag = False
    gateway: OptionalText = None
    scheduling: Scheduling = Scheduling()
    rpc: Rpc = Rpc()
    rolling_strategy: RollingStrategy = RollingStrategy()
    eas: Eas = Eas()
