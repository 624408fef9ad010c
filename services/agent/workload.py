"""From an assignment of the scheduler to what a runtime has to run. The only reader of service.json here."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from easel.agent.v1 import agent_pb2 as pb
from libs.domain.errors import FailedPrecondition
from libs.spec import storage
from libs.spec.containers import Container
from libs.spec.parsing import parse_service
from libs.spec.service import ServiceSpec
from services.agent.mounts import Buckets, Mount, MountKind, bucket_directory


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
    env: tuple[tuple[str, str], ...] = ()
    requirements: tuple[str, ...] = ()
    requirements_path: str = ""
    mounts: tuple[Mount, ...] = ()
    cpu_milli: int = 0
    memory_mib: int = 0
    shm_mib: int = 0
    gpu_uuids: tuple[str, ...] = ()
    registry_login: tuple[str, str] | None = None
    grace: timedelta = timedelta(seconds=30)
    sigterm: bool = False
    # A crashed instance is left as it ended.
    crash_block: bool = False
    traceparent: str = ""

    @property
    def prepares(self) -> bool:
        """Whether Python requirements are installed before the program starts."""
        return bool(self.requirements or self.requirements_path)


def workload_of(assignment: pb.Assignment, buckets: Buckets) -> Workload:
    """Raises EaselError, in a sentence for the instance's owner, when this node cannot run it as it is."""
    spec = parse_service(assignment.spec_json).spec
    container = spec.container
    if container is None:
        raise FailedPrecondition("containers: this version runs services with a container, none is given")
    prepare, resources = container.prepare, assignment.resources
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
        env=tuple(container.environment.items()),
        requirements=prepare.python_requirements,
        requirements_path=prepare.python_requirements_path or "",
        mounts=_mounts(spec.storage, buckets),
        cpu_milli=_cpu_milli(spec, container, resources.cpu_milli),
        memory_mib=container.memory_limit or resources.memory_mib or spec.metadata.memory or 0,
        shm_mib=spec.shared_memory_mib or 0,
        gpu_uuids=tuple(assignment.gpu_uuids),
        registry_login=spec.registry_login,
        grace=timedelta(seconds=spec.termination_grace_seconds),
        sigterm=spec.metadata.rpc.enable_sigterm,
        crash_block=spec.runtime.enable_crash_block,
        traceparent=assignment.traceparent,
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


def _mounts(entries: Sequence[storage.Mount], buckets: Buckets) -> tuple[Mount, ...]:
    return tuple(_mount(index, entry, buckets) for index, entry in enumerate(entries))


def _mount(index: int, entry: storage.Mount, buckets: Buckets) -> Mount:
    path = "/" + "/".join(part for part in entry.mount_path.split("/") if part)
    if entry.oss is not None:
        bucket, read_only = entry.oss.bucket, entry.oss.read_only
        source = bucket_directory(buckets, bucket, entry.oss.prefix)
        return Mount(path, MountKind.BIND, source, read_only, bucket=str(buckets[bucket]))
    if entry.empty_dir is not None:
        limit = entry.empty_dir.size_limit
        size_mib = limit.mib if limit else 0
        if entry.empty_dir.medium == "memory" or entry.is_shared_memory:
            return Mount(path, MountKind.MEMORY, size_mib=size_mib)
        return Mount(path, MountKind.EMPTY, f"empty-{index}")
    kind = ", ".join(entry.sources)
    raise FailedPrecondition(
        f"storage[{index}]: {kind} is not mounted by this version, only oss and empty_dir are"
    )
