"""`storage[]`: what is mounted into an instance, and where."""

from typing import Annotated

from pydantic import Field

from libs.spec.scalars import (
    Flag,
    Json,
    OptionalText,
    ScalarText,
    SizeInGib,
    Text,
    UrlPath,
    choice,
    matching,
)
from libs.spec.section import Section

SHARED_MEMORY = "/dev/shm"  # noqa: S108
SOURCES = ("oss", "nfs", "git", "dataset", "image", "empty_dir")

_WITHOUT_PARENT = r"(?!.*/\.\.?(/|$))"
MountPath = Annotated[
    str,
    matching(
        rf"{_WITHOUT_PARENT}/[^\n:,]*", 'an absolute path without "." or ".." segments, colons and commas'
    ),
]
OssPath = Annotated[
    str,
    matching(rf"{_WITHOUT_PARENT}oss://[^/\s]+/[^\n]*", 'oss://bucket/path without "." or ".." segments'),
]


class Oss(Section):
    """A directory of a bucket."""

    path: OssPath
    read_only: Flag = Field(default=False, alias="readOnly")
    endpoint: OptionalText = None

    @property
    def bucket(self) -> str:
        """The bucket, without an endpoint that was written after it."""
        return self.path.removeprefix("oss://").partition("/")[0].partition(".")[0]

    @property
    def prefix(self) -> str:
        """The directory in the bucket, without slashes around it; empty for the whole bucket."""
        return self.path.removeprefix("oss://").partition("/")[2].strip("/")


class Nfs(Section):
    """A directory that an NFS server exports."""

    server: Text
    path: UrlPath = "/"
    read_only: Flag = Field(default=False, alias="readOnly")
    resource_group: OptionalText = Field(default=None, alias="resourceGroup")


class Git(Section):
    """A repository, cloned when the instance starts, and read-only."""

    repo: Annotated[str, matching(r"https?://\S+", "the https address of a repository")]
    branch: Text = "master"
    commit: OptionalText = None
    username: OptionalText = None
    password: OptionalText = None


class Dataset(Section):
    """A registered dataset."""

    id: Text
    version: ScalarText | None = None
    read_only: Flag = True


class EmptyDir(Section):
    """A directory that lives as long as its instance; in memory where `medium` says so."""

    medium: Annotated[str, choice("memory", empty=True)] = ""
    size_limit: SizeInGib | None = None


class StorageProperties(Section):
    """What a mount is, for those who list mounts."""

    resource_type: OptionalText = None
    resource_use: OptionalText = None


class Mount(Section):
    """One mount: a path in the instance and exactly one source."""

    mount_path: MountPath
    oss: Oss | None = None
    nfs: Nfs | None = None
    git: Git | None = None
    dataset: Dataset | None = None
    image: dict[str, Json] | None = None
    empty_dir: EmptyDir | None = None
    properties: StorageProperties = StorageProperties()

    @property
    def is_shared_memory(self) -> bool:
        """Whether this mount is the shared memory of the instance."""
        return self.mount_path.rstrip("/") == SHARED_MEMORY

    @property
    def sources(self) -> tuple[str, ...]:
        """The sources that are set; exactly one in an accepted document."""
        return tuple(source for source in SOURCES if getattr(self, source) is not None)
