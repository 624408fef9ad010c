"""What an instance sees of the host's directories, and which of them it may ask for."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import TypeAlias

from libs.domain.errors import FailedPrecondition

# Bucket name to the directory of this host that stands for it.
Buckets: TypeAlias = Mapping[str, Path]

SHARED_MEMORY = "/dev/shm"  # noqa: S108


class MountKind(StrEnum):
    BIND = "bind"
    EMPTY = "empty"
    MEMORY = "memory"


@dataclass(frozen=True)
class Mount:
    """One directory in the sight of an instance.

    `source` is a directory of the host for BIND, below that of its `bucket`, and a name unique in the
    instance for EMPTY.
    """

    path: str
    kind: MountKind
    source: str = ""
    read_only: bool = False
    size_mib: int = 0
    bucket: str = ""


def bucket_directory(buckets: Buckets, bucket: str, prefix: str) -> str:
    """The host's directory behind `oss://bucket/prefix`. Raises FailedPrecondition for an unknown bucket
    and for a path that leaves it."""
    root = buckets.get(bucket)
    if root is None:
        known = ", ".join(sorted(buckets)) or "none"
        raise FailedPrecondition(
            f"oss://{bucket}/{prefix}: this node has no directory for bucket {bucket!r} (known: {known}); "
            f"give it one with `easel up --bucket {bucket}=DIR`, or, where the agent runs by itself, with "
            f'EASEL_AGENT_BUCKETS={{"{bucket}": "DIR"}}'
        )
    inside = PurePosixPath(prefix)
    if inside.is_absolute() or ".." in inside.parts:
        raise FailedPrecondition(f"oss://{bucket}/{prefix}: the path leaves the bucket")
    return str(root / inside)


def refuse_escape(mount: Mount) -> None:
    """Raises FailedPrecondition when links lead out of a bucket. Blocks on the file system."""
    if mount.bucket and not Path(mount.source).resolve().is_relative_to(Path(mount.bucket).resolve()):
        raise FailedPrecondition(f"{mount.path}: a link leads from {mount.source} out of the bucket")


def ensure_source(mount: Mount) -> None:
    """Makes the directory behind a BIND mount be there. Safe to repeat; blocks on the file system.

    Raises FailedPrecondition when a read-only one is missing, when links lead out of the bucket, or when the
    host refuses to create it.
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
