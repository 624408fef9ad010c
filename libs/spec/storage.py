"""`storage[]`: what is mounted into an instance, and where."""

from typing import Annotated

from pydantic import Field

from libs.spec.scalars import (
    Flag,
    OptionalText,
    RegistryLogin,
    ScalarText,
    SizeInGib,
    Text,
    UrlPath,
    choice,
    matching,
)
from libs.spec.section import Section

SHARED_MEMORY = "/dev/shm"  # noqa: S108
SOURCES = ("oss", "nfs", "git", "dataset", "image", "host_path", "empty_dir")

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
    # The secret with endpoint, region and credentials; without it `bucket_secrets` are tried.
    secret: OptionalText = None

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
    # Options of the mount in the words of mount.nfs, such as "nfsvers=4.1,soft".
    options: OptionalText = None


class Git(Section):
    """A repository, cloned when the instance starts, and read-only."""

    repo: Annotated[
        str,
        matching(r"https?://[^\s/@]+(/\S*)?", "the https address of a repository, without a user in it"),
    ]
    branch: Text = "master"
    commit: OptionalText = None
    username: OptionalText = None
    password: OptionalText = None


class Dataset(Section):
    """A registered dataset."""

    id: Text
    version: ScalarText | None = None
    read_only: Flag = True


class ImageDirectory(Section):
    """A directory of an image, copied into a volume when the instance starts."""

    image: Text
    path: UrlPath = "/"
    docker_auth: RegistryLogin | None = Field(default=None, alias="dockerAuth")


class HostPath(Section):
    """A directory of the node, below a root that its operator allows."""

    path: MountPath
    read_only: Flag = Field(default=False, alias="readOnly")


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
    image: ImageDirectory | None = None
    host_path: HostPath | None = None
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
