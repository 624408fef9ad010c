"""Where the files of a mount come from, with the values that open it. No value is shown by repr."""

from dataclasses import dataclass, field
from typing import TypeAlias


@dataclass(frozen=True)
class StoreSource:
    """A directory of a bucket of an S3-compatible object store; read as anybody without an access key."""

    bucket: str
    prefix: str
    endpoint: str = ""
    region: str = ""
    # "path" or "virtual": whether the bucket is in the path or in the host of an address; empty: by endpoint.
    addressing: str = ""
    access_key_id: str = field(default="", repr=False)
    secret_access_key: str = field(default="", repr=False)
    session_token: str = field(default="", repr=False)

    @property
    def name(self) -> str:
        """How its owner wrote it."""
        return f"oss://{self.bucket}/{self.prefix}"


@dataclass(frozen=True)
class GitSource:
    """A commit of a repository, the newest of `branch` where none is named."""

    repo: str
    branch: str
    commit: str = ""
    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)

    @property
    def name(self) -> str:
        return self.repo


@dataclass(frozen=True)
class NfsSource:
    """A directory that an NFS server exports; `options` in the words of mount.nfs."""

    server: str
    export: str
    options: str = ""

    @property
    def name(self) -> str:
        return f"{self.server}:{self.export}"


@dataclass(frozen=True)
class ImageSource:
    """A directory of an image, which is copied into a volume."""

    image: str
    path: str
    login: tuple[str, str] | None = field(default=None, repr=False)

    @property
    def name(self) -> str:
        return f"{self.path} of {self.image}"


Source: TypeAlias = StoreSource | GitSource | NfsSource | ImageSource
