"""Services, as plain frozen values. They are all in `easel_sdk.types` too."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from easel_sdk.update_types import Rollout
from libs.domain.states import SafetyLock, ServiceState, TrafficState


@dataclass(frozen=True)
class Service:
    """A service as the scheduler sees it now. `spec` is its service.json, the token masked."""

    name: str
    id: str
    state: ServiceState
    why: str
    version: int
    running_version: int
    wanted: int
    ready: int
    pending: int
    total: int
    resource_group: str
    endpoint: str
    labels: Mapping[str, str]
    created_at: datetime | None
    updated_at: datetime | None
    revision: int
    pending_reasons: tuple[str, ...]
    spec: Mapping[str, Any]
    safety_lock: SafetyLock = SafetyLock.NONE
    # The newest version there is; `version` is an older one after a roll-back.
    latest_version: int = 0
    # The newest update, also a finished one; None before the first.
    rollout: Rollout | None = None
    # When it is deleted, unless it runs before; None while it runs.
    delete_at: datetime | None = None
    # The group it is a member of; empty for none.
    group: str = ""
    traffic_state: TrafficState = TrafficState.STANDALONE
    # -1: as many as its ready instances.
    weight: int = -1
    # Its share of the group's requests now, from 0 to 1.
    traffic_share: float = 0.0
    # The gateway it is reached through.
    gateway: str = ""


@dataclass(frozen=True)
class Written:
    """A service after a write, and what was accepted without effect or looks like a typing error."""

    service: Service
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class ServiceVersion:
    number: int
    created_at: datetime | None
    why: str
    spec: Mapping[str, Any]


@dataclass(frozen=True)
class ServiceChange:
    """One step of a watch. `service` is None only on the step that ends the initial state (`synced`)."""

    service: Service | None
    deleted: bool = False
    synced: bool = False


@dataclass(frozen=True)
class Prediction:
    """A service's answer. `seconds` is from sending the request to the end of the body."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    seconds: float
    url: str = ""

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", errors="replace")
