"""What the scheduler reads from a service.json, taken out once a version."""

from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache

from libs.domain.records import PUBLIC_GROUP, Resources
from libs.domain.traffic import SHARED_GATEWAY
from libs.spec import ServiceSpec, parse_stored
from libs.spec.headroom import Headroom
from libs.spec.switches import extra_disk_mib, gpu_driver
from services.scheduler.pool.tiers import Tier, tiers_of


@dataclass(frozen=True)
class Edge:
    """What a version asks of gateways beyond an address. Limits are 0 where there is none."""

    rate_per_instance: int = 0
    rate: int = 0
    concurrency: int = 0
    in_flight_per_instance: int = 0
    # Load balancers with their ports, and registries by id, as networking names them.
    listeners: tuple[tuple[str, int], ...] = ()
    registries: tuple[str, ...] = ()


@dataclass(frozen=True)
class Facts:
    """The parts of one version that placement, rollout and routes depend on."""

    resources: Resources
    resource_group: str
    gpu_model: str
    port: int
    image: str
    spread: str
    headroom: Headroom
    auto_rollback: bool
    # How long an instance of which is known why it is not ready may take before the update has failed.
    progress_deadline: timedelta
    keepalive: timedelta
    # Without one of its own a service has that of its gateway.
    keepalive_given: bool
    grace: timedelta
    keep_path: bool
    grpc: bool
    webservice: bool
    # What the node must have: a version of CUDA to mount, a version of the GPU driver; empty for any.
    cuda: str
    gpu_driver: str
    edge: Edge
    # Where it is to be: in a group, empty for none, and on a gateway.
    group: str
    gateway: str
    workspace: str
    # Where its instances may go, in order; whether they move to better nodes when there is room, and whether
    # they may be asked to leave a spot node in their first hour.
    tiers: tuple[Tier, ...]
    rebalancing: bool
    spot_protection: bool
    # The names of metrics that the program may post.
    custom_metrics: tuple[str, ...]

    def surge(self, wanted: int) -> int:
        """Instances above the wanted ones that there may be while some are replaced."""
        return self.headroom.of(wanted)[0]

    def unavailable(self, wanted: int) -> int:
        """Wanted instances that may be missing while some are replaced, where they find no room otherwise."""
        return self.headroom.of(wanted)[1]


@lru_cache(maxsize=32_768)
def facts_of(spec_json: str) -> Facts:
    """The facts of a stored version; its text was accepted before, so it parses."""
    return facts(parse_stored(spec_json).spec)


def facts(spec: ServiceSpec) -> Facts:
    metadata = spec.metadata
    container = spec.container
    return Facts(
        resources=Resources(
            cpu_milli=round((metadata.cpu or 0) * 1000),
            memory_mib=metadata.memory or 0,
            disk_mib=(metadata.disk.mib if metadata.disk else 0) + extra_disk_mib(spec),
            gpus=metadata.gpu,
        ),
        resource_group=metadata.resource or PUBLIC_GROUP,
        gpu_model=metadata.gpu_model or "",
        port=(container.port or 0) if container else 0,
        image=container.image if container else "",
        spread=metadata.scheduling.spread.policy,
        headroom=spec.headroom,
        auto_rollback=metadata.rolling_strategy.auto_rollback,
        progress_deadline=timedelta(seconds=metadata.rolling_strategy.progress_deadline_seconds),
        keepalive=timedelta(milliseconds=metadata.rpc.keepalive),
        keepalive_given="keepalive" in metadata.rpc.model_fields_set,
        grace=timedelta(seconds=spec.termination_grace_seconds),
        keep_path=metadata.rpc.proxy_path == "/",
        grpc=metadata.enable_grpc,
        webservice=metadata.enable_webservice,
        cuda=metadata.cuda or "",
        gpu_driver=gpu_driver(spec),
        edge=_edge(spec),
        group=metadata.group or "",
        gateway=spec.gateway or SHARED_GATEWAY,
        workspace=metadata.workspace_id or "",
        tiers=tiers_of(spec),
        rebalancing=metadata.resource_rebalancing,
        spot_protection=not spec.cloud.computing.disable_spot_protection_period,
        custom_metrics=tuple(each.name for each in spec.metrics),
    )


def _edge(spec: ServiceSpec) -> Edge:
    rpc, networking = spec.metadata.rpc, spec.networking
    policy = networking.gateway_policy
    bounded = rpc.model_fields_set & {"worker_threads", "max_queue_size"}
    named = (each.nacos_id or each.id for each in networking.nacos)
    return Edge(
        rate_per_instance=rpc.rate_limit,
        rate=(policy.rate_limit.limit or 0) if policy.rate_limit.enable else 0,
        concurrency=(policy.concurrency_limit.limit or 0) if policy.concurrency_limit.enable else 0,
        in_flight_per_instance=rpc.worker_threads + rpc.max_queue_size if bounded else 0,
        listeners=tuple((each.id, each.listener_port) for each in networking.nlb),
        registries=tuple(dict.fromkeys(each for each in named if each)),
    )
