"""From an assignment of the scheduler to what a runtime has to run. The only reader of service.json here."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from easel.agent.v1 import agent_pb2 as pb
from libs.spec.autoscaler import CustomMetric
from libs.spec.containers import Container
from libs.spec.parsing import parse_stored
from libs.spec.probe import Probe
from libs.spec.service import ServiceSpec
from services.agent.mounts import HostDirectories, Mount, MountKind, NotHere
from services.agent.storage.resolution import Resolver, login
from services.agent.storage.sources import StoreSource

# Where an instance finds the CUDA that its node brings.
CUDA = "/usr/local/cuda"
_CUDA_VERSION = re.compile(r"\d+(\.\d+)*")


@dataclass(frozen=True)
class Probes:
    """How an instance is asked whether it has started, lives and may take traffic; None where it is not."""

    startup: Probe | None = None
    liveness: Probe | None = None
    readiness: Probe | None = None


@dataclass(frozen=True)
class Workload:
    """One instance, ready to be run. CPU in thousandths of a core, sizes in MiB, 0 where not bounded."""

    id: str
    service: str
    version: int
    epoch: int
    spec_hash: str
    image: str = ""
    script: str = ""
    command: str = ""
    args: tuple[str, ...] = ()
    # The port the program is told to listen on by its service.json; 0 for one without a port.
    port: int = 0
    # Process runtime: the port of the host it listens on instead; 0 lets the runtime choose.
    host_port: int = 0
    # Values of secrets are among these, and in `registry_login`: neither is shown or hashed.
    env: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    requirements: tuple[str, ...] = ()
    requirements_path: str = ""
    mounts: tuple[Mount, ...] = ()
    cpu_milli: int = 0
    memory_mib: int = 0
    shm_mib: int = 0
    gpu_uuids: tuple[str, ...] = ()
    registry_login: tuple[str, str] | None = field(default=None, repr=False)
    grace: timedelta = timedelta(seconds=30)
    sigterm: bool = False
    # A crashed instance is left as it ended.
    crash_block: bool = False
    probes: Probes = Probes()
    # How long the answer to one request may be waited for.
    keepalive: timedelta = timedelta(seconds=5)
    # How often its owner has asked for a soft restart.
    run: int = 0
    # Out of traffic, and kept as it is whatever happens to it.
    isolated: bool = False
    traceparent: str = ""
    # One of the words of containers[0].image_pull_policy.
    image_pull_policy: str = "IfNotPresent"
    disk_mib: int = 0
    # Where the requests are that are sent to it before it takes traffic; empty for none.
    warm_up_path: str = ""
    # For those in a bucket: the file of this host, or the directory of the store.
    warm_up_origin: Path | StoreSource | None = None
    # The path of a request that a gateway would send to it as "/".
    base_path: str = "/"
    # The metrics that its program may post: the names of the tags of each by its name.
    metrics: Mapping[str, frozenset[str]] = field(default_factory=dict, hash=False)
    # Where it may post them from wherever it runs; empty where nobody takes them.
    metrics_url: str = field(default="", repr=False)

    @property
    def prepares(self) -> bool:
        """Whether Python requirements are installed before the program starts."""
        return bool(self.requirements or self.requirements_path)


def workload_of(assignment: pb.Assignment, directories: HostDirectories) -> Workload:
    """Raises EaselError, in a sentence for the instance's owner, when this node cannot run it as it is."""
    spec = parse_stored(assignment.spec_json).spec
    container = spec.container
    if container is None:
        raise NotHere("containers: this version runs services with a container, none is given")
    prepare, resources = container.prepare, assignment.resources
    resolver = Resolver(assignment.id, dict(assignment.secrets), directories)
    return Workload(
        id=assignment.id,
        service=assignment.service,
        version=assignment.version,
        epoch=assignment.epoch,
        spec_hash=spec_hash(assignment),
        image=container.image,
        script=container.script or "",
        command=container.command or "",
        args=container.args,
        port=container.port or 0,
        host_port=assignment.port,
        env=_environment(container, resolver),
        requirements=prepare.python_requirements,
        requirements_path=prepare.python_requirements_path or "",
        mounts=(*resolver.mounts(spec.storage), *_cuda(spec, directories)),
        cpu_milli=_cpu_milli(spec, container, resources.cpu_milli),
        memory_mib=container.memory_limit or resources.memory_mib or spec.metadata.memory or 0,
        shm_mib=spec.shared_memory_mib or 0,
        gpu_uuids=tuple(assignment.gpu_uuids),
        registry_login=login(resolver.value(spec.docker_auth or "", "dockerAuth"), "dockerAuth"),
        grace=timedelta(seconds=spec.termination_grace_seconds),
        sigterm=spec.metadata.rpc.enable_sigterm,
        crash_block=spec.runtime.enable_crash_block,
        probes=probes_of(container),
        keepalive=timedelta(milliseconds=spec.metadata.rpc.keepalive),
        run=assignment.run,
        isolated=assignment.isolated,
        traceparent=assignment.traceparent,
        image_pull_policy=container.image_pull_policy,
        disk_mib=spec.metadata.disk.mib if spec.metadata.disk else 0,
        warm_up_path=spec.warm_up_data_path or "",
        warm_up_origin=_warm_up_origin(spec, resolver),
        base_path=_base_path(spec, assignment.service),
        metrics={metric.name: _tags(metric) for metric in spec.metrics},
    )


def probes_of(container: Container) -> Probes:
    """`health_check` stands in for the liveness and the readiness check that are not given."""
    return Probes(
        startup=container.startup_check,
        liveness=container.liveness_check or container.health_check,
        readiness=container.readiness_check or container.health_check,
    )


def spec_hash(assignment: pb.Assignment) -> str:
    """Equal for two assignments that the same running program satisfies."""
    parts = (
        assignment.spec_json,
        ",".join(sorted(assignment.gpu_uuids)),
        str(assignment.port),
        str(assignment.resources.cpu_milli),
        str(assignment.resources.memory_mib),
    )
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def _cpu_milli(spec: ServiceSpec, container: Container, assigned: int) -> int:
    cores = container.cpu_limit
    if cores is None and not assigned:
        cores = spec.metadata.cpu
    return round(cores * 1000) if cores else assigned


def _cuda(spec: ServiceSpec, directories: HostDirectories) -> tuple[Mount, ...]:
    version = spec.metadata.cuda
    if not version:
        return ()
    if not _CUDA_VERSION.fullmatch(version):
        raise NotHere(f"metadata.cuda: got {version!r}, expected a version, such as 11.2")
    return (Mount(CUDA, MountKind.BIND, str(directories.cuda / f"cuda-{version}"), read_only=True),)


def _warm_up_origin(spec: ServiceSpec, resolver: Resolver) -> Path | StoreSource | None:
    path = spec.warm_up_data_path or ""
    return resolver.file(path, "warm_up_data_path") if path.startswith("oss://") else None


def _tags(metric: CustomMetric) -> frozenset[str]:
    return frozenset(tag.strip() for tag in (metric.tags or "").split(",") if tag.strip())


def _base_path(spec: ServiceSpec, service: str) -> str:
    """As gateways hand it on: with the whole path where the service asks for that."""
    return f"/api/predict/{service}" if spec.metadata.rpc.proxy_path == "/" else "/"


def _environment(container: Container, resolver: Resolver) -> tuple[tuple[str, str], ...]:
    return tuple(
        (name, resolver.value(value, f"containers[0].env.{name}"))
        for name, value in container.environment.items()
    )
