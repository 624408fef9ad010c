"""What the scheduler keeps for its users: events, secrets, datasets, tokens, as plain frozen values.

They are all in `easel_sdk.types` too.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from libs.domain.states import EventKind


@dataclass(frozen=True)
class Event:
    """Something that happened: `reason` is one word for programs, `why` a sentence for people."""

    id: int
    at: datetime | None
    kind: EventKind
    reason: str
    why: str
    subject_kind: str
    subject: str
    service: str


@dataclass(frozen=True)
class Secret:
    """Named values that service.json refers to as secret://NAME/KEY. The values are never given back."""

    name: str
    keys: tuple[str, ...]
    created_at: datetime | None
    updated_at: datetime | None
    used_by: tuple[str, ...]
    # Why its values cannot be read; empty when they can.
    why: str = ""


@dataclass(frozen=True)
class Dataset:
    """A registered source of files; a version of it never changes. `source` is an entry of storage[]."""

    id: str
    version: str
    source: Mapping[str, Any]
    description: str
    created_at: datetime | None
    used_by: tuple[str, ...]


@dataclass(frozen=True)
class Token:
    id: str
    name: str
    role: str
    created_at: datetime | None


@dataclass(frozen=True)
class NewToken:
    """A token just made. The secret cannot be read again."""

    token: Token
    secret: str = field(repr=False)
