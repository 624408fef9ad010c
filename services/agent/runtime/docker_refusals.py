"""Why the engine would not start a container, in words for the owner of the instance: pure."""

from libs.domain.causes import Cause
from services.agent.mounts import MountKind
from services.agent.runtime.docker_spec import start_cause
from services.agent.runtime.port import StartFailed
from services.agent.workload import Workload


def refusal_of(workload: Workload, said: str) -> StartFailed:
    """From what the engine said."""
    for mount in workload.mounts:
        if mount.kind is MountKind.NFS and "failed to mount" in said and mount.origin is not None:
            why = f"{mount.path}: {mount.origin.name} could not be mounted: {said}"
            denied = "permission denied" in said or "access denied" in said
            return StartFailed(why, Cause.STORAGE_ACCESS_DENIED if denied else Cause.STORAGE_UNREACHABLE)
        if mount.source and "does not exist" in said and mount.source in said:
            return StartFailed(
                f"{mount.path}: {mount.source} does not exist on the node, "
                "and for a read-only mount it is not made",
                Cause.STORAGE_NOT_FOUND,
            )
    return StartFailed(f"could not start: {said}", start_cause(said))
