"""What is there for all services: secrets, datasets, and images that nodes are to have.

Records as those of `libs/domain/records.py`.
"""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Secret:
    """Named values that service.json refers to; `sealed` is their encryption, `keys` their names."""

    name: str
    keys: tuple[str, ...]
    sealed: str
    created_at: datetime
    updated_at: datetime
    revision: int = 0


@dataclass(frozen=True)
class Dataset:
    """A registered source: one entry of storage[] without its mount path. Never changed once stored."""

    id: str
    version: str
    source_json: str
    created_at: datetime
    description: str = ""
    revision: int = 0


@dataclass(frozen=True)
class ImagePull:
    """An image that every node of a resource group is to have. `docker_auth` may refer to a secret, and is
    sealed where it does not."""

    id: str
    image: str
    resource_group: str
    created_at: datetime
    docker_auth: str = ""
    revision: int = 0
