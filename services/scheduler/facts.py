"""What the scheduler reads from a service.json, taken out once a version."""

from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache

from libs.domain.records import PUBLIC_GROUP, Resources
from libs.spec import ServiceSpec, parse_service
from libs.spec.quantity import CountOrPercent


@dataclass(frozen=True)
class Facts:
    """The parts of one version that placement, rollout and routes depend on."""

    resources: Resources
    resource_group: str
    gpu_model: str
    port: int
    image: str
    spread: str
    max_surge: CountOrPercent
    max_unavailable: CountOrPercent
    keepalive: timedelta
    grace: timedelta
    keep_path: bool
    grpc: bool
    webservice: bool

    def surge(self, wanted: int) -> int:
        """Extra instances allowed while updating; never none when none may be missing either."""
        surge = self.max_surge.of(wanted)
        return surge if surge or self.unavailable(wanted) else 1

    def unavailable(self, wanted: int) -> int:
        """Wanted instances that may be missing while updating."""
        return self.max_unavailable.of(wanted, round_up=False)


@lru_cache(maxsize=32_768)
def facts_of(spec_json: str) -> Facts:
    """The facts of a stored version; its text was accepted before, so it parses."""
    return facts(parse_service(spec_json).spec)


def facts(spec: ServiceSpec) -> Facts:
    metadata = spec.metadata
    container = spec.container
    rolling = metadata.rolling_strategy
    return Facts(
        resources=Resources(
            cpu_milli=round((metadata.cpu or 0) * 1000),
            memory_mib=metadata.memory or 0,
            disk_mib=metadata.disk.mib if metadata.disk else 0,
            gpus=metadata.gpu,
        ),
        resource_group=metadata.resource or PUBLIC_GROUP,
        gpu_model=metadata.gpu_model or "",
        port=(container.port or 0) if container else 0,
        image=container.image if container else "",
        spread=metadata.scheduling.spread.policy,
        max_surge=rolling.max_surge,
        max_unavailable=rolling.max_unavailable or CountOrPercent(0),
        keepalive=timedelta(milliseconds=metadata.rpc.keepalive),
        grace=timedelta(seconds=spec.termination_grace_seconds),
        keep_path=metadata.rpc.proxy_path == "/",
        grpc=metadata.enable_grpc,
        webservice=metadata.enable_webservice,
    )
