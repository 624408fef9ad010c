"""What a gateway knows of each service, and how an update changes it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True)
class Endpoint:
    """A ready instance, by the address at which it answers."""

    instance: str
    address: str
    port: int


@dataclass(frozen=True)
class Backend:
    """The ready instances of one version."""

    version: int
    endpoints: tuple[Endpoint, ...] = ()


@dataclass(frozen=True)
class Service:
    """All that a gateway needs to know of one service."""

    name: str
    tokens: tuple[str, ...] = ()
    # A request without an answer for this long is refused with 408; zero means no bound.
    keepalive: timedelta = timedelta(seconds=5)
    keep_path: bool = False
    grpc: bool = False
    backends: tuple[Backend, ...] = ()


@dataclass(frozen=True)
class Update:
    """A change to what a gateway must serve; `full` means that nothing else remains."""

    generation: int
    full: bool
    services: tuple[Service, ...] = ()
    removed: tuple[str, ...] = ()


def gone(update: Update, known: Iterable[str]) -> list[str]:
    """The names among `known` that `update` takes away."""
    if not update.full:
        return list(update.removed)
    kept = {service.name for service in update.services}
    return [name for name in known if name not in kept]


def differing(update: Update, known: Mapping[str, Service]) -> list[Service]:
    """The services of `update` that are new or not as they are `known`."""
    return [service for service in update.services if known.get(service.name) != service]
