"""What an Envoy says and is told on its delta stream, as plain values."""

from collections.abc import Mapping
from dataclasses import dataclass

from services.gateway.xds.resource import Resource


@dataclass(frozen=True)
class Request:
    """A subscription, an acknowledgement or a refusal: any of them, or several at once."""

    type_url: str
    subscribe: tuple[str, ...] = ()
    unsubscribe: tuple[str, ...] = ()
    # What a reconnecting Envoy still has.
    initial: Mapping[str, str] | None = None
    nonce: str = ""
    error: str = ""


@dataclass(frozen=True)
class Response:
    """Resources to take over, and names to forget."""

    type_url: str
    nonce: str
    resources: tuple[Resource, ...] = ()
    removed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Refusal:
    """A resource that an Envoy would not take, with its reason; it keeps what it had."""

    type_url: str
    names: tuple[str, ...]
    message: str
