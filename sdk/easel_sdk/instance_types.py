"""Instances and what is wrong with them, as plain frozen values.

They are all in `easel_sdk.types` too.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from libs.domain.records import Resources
from libs.domain.states import InstanceState, Runtime


@dataclass(frozen=True)
class Progress:
    """How far a transfer is. `total_bytes` is 0 while the size is not known."""

    what: str
    done_bytes: int
    total_bytes: int
    bytes_per_second: int


@dataclass(frozen=True)
class Instance:
    """One running copy of a service."""

    id: str
    service: str
    version: int
    state: InstanceState
    why: str
    ready: bool
    node: str
    address: str
    port: int
    restarts: int
    last_exit: str
    gpu_uuids: tuple[str, ...]
    resources: Resources
    runtime: Runtime | None
    epoch: int
    created_at: datetime | None
    started_at: datetime | None
    ready_at: datetime | None
    # Out of traffic: for inspection, and it may be put back; or for ever, replaced by another.
    isolated: bool = False
    detached: bool = False
    # What is wrong with it, one CamelCase word.
    cause: str = ""
    progress: Progress | None = None
    # Connections that are still open while it drains.
    connections: int = 0
    # Soft restarts asked for so far.
    run: int = 0
    # Where it was placed: "dedicated", "public" or "spot", and the type of its node.
    pool: str = ""
    instance_type: str = ""


class Severity(StrEnum):
    NOTE = "Note"
    WARNING = "Warning"
    ERROR = "Error"


@dataclass(frozen=True)
class Finding:
    """Something wrong, or worth knowing: a word for programs, a sentence on it, one on what to do."""

    severity: Severity
    cause: str
    what: str
    advice: str
    subject: str
    evidence: tuple[str, ...] = ()
