"""What an instance sees of directories outside it, and which of the host's it may ask for."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import TypeAlias

from libs.domain.causes import Cause
from libs.domain.errors import FailedPrecondition
from services.agent.storage.sources import Source

# Bucket name to the directory of this host that stands for it.
Buckets: TypeAlias = Mapping[str, Path]

SHARED_MEMORY = "/dev/shm"  # noqa: S108


class NotHere(FailedPrecondition):
    """This node cannot run an instance as its service.json asks."""

    def __init__(self, why: str, cause: Cause = Cause.NOT_ON_THIS_NODE) -> None:
        super().__init__(why)
        self.cause = cause


@dataclass(frozen=True)
class HostDirectories:
    """The directories of this host that mounts may be made of.

    `buckets` and `roots` are the operator's, `own` is where the agent puts the files of object stores and
    repositories, a directory an instance.
    """

    buckets: Buckets = field(default_factory=dict)
    roots: tuple[Path, ...] = ()
    own: Path = Path(".easel/agent/mounts")
    # Where versions of CUDA are, each in a directory such as cuda-11.2.
    cuda: Path = Path("/usr/local")


class MountKind(StrEnum):
    BIND = "bind"
    EMPTY = "empty"
    MEMORY = "memory"
    # With an NfsSource or an ImageSource as its origin, and without a directory of the host.
    NFS = "nfs"
    IMAGE = "image"


@dataclass(frozen=True)
class Mount:
    """One directory in the sight of an instance.

    `source` is a directory of the host for BIND and a name unique in the instance for EMPTY and IMAGE. It may
    not lead out of `within`, where that is given. A BIND with an `origin` has its files put there first.
    """

    path: str
    kind: MountKind
    source: str = ""
    read_only: bool = False
    size_mib: int = 0
    within: str = ""
    origin: Source | None = None


def bucket_directory(buckets: Buckets, bucket: str, prefix: str) -> str:
    """The host's directory behind `oss://bucket/prefix`, of a bucket that the operator mapped to one.

    Raises FailedPrecondition for a path that leaves it.
    """
    inside = PurePosixPath(prefix)
    if inside.is_absolute() or ".." in inside.parts:
        raise FailedPrecondition(f"oss://{bucket}/{prefix}: the path leaves the bucket")
    return str(buckets[bucket] / inside)


def refuse_escape(mount: Mount) -> None:
    """Raises FailedPrecondition when links lead out of where it may be. Blocks on the file system."""
    if mount.within and not Path(mount.source).resolve().is_relative_to(Path(mount.within).resolve()):
        raise FailedPrecondition(f"{mount.path}: a link leads from {mount.source} out of {mount.within}")


def ensure_source(mount: Mount) -> None:
    """Makes the directory behind a BIND mount be there. Safe to repeat; blocks on the file system.

    Raises FailedPrecondition when a read-only one is missing, when links lead out of where it may be, or when
    the host refuses to create it.
    """
    refuse_escape(mount)
    source = Path(mount.source)
    if source.is_dir():
        return
    if mount.read_only:
        raise FailedPrecondition(
            f"{mount.path}: {source} does not exist on the node, and for a read-only mount it is not made"
        )
    try:
        source.mkdir(parents=True, exist_ok=True)
    except OSError as refused:
        raise FailedPrecondition(
            f"{mount.path}: cannot create {source} on the node: {refused.strerror}"
        ) from refused
