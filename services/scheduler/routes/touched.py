"""Whose routes may differ after a commit. Pure."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from libs.db.changes import Record
from libs.domain.assets import Secret
from libs.domain.records import Instance, Service, ServiceVersion
from libs.domain.scaling import Autoscaler
from libs.domain.traffic import AccessToken, Gateway, Group, Mirror, Ramp, Registry
from services.scheduler.world import World


@dataclass
class Touched:
    """Services and groups whose routes must be derived anew, and gateways whose settings must."""

    services: set[str] = field(default_factory=set)
    groups: set[str] = field(default_factory=set)
    gateways: set[str] = field(default_factory=set)


def touched_by(
    records: Iterable[Record], world: World, registered_at: Callable[[str], Iterable[str]]
) -> Touched:
    """`registered_at` says which services are written to a registry.

    The groups that a touched service is in, or was, are left to the caller, who knows both.
    """
    touched = Touched()
    for record in records:
        match record:
            case Service():
                touched.services |= {record.name, *_copied_to(world, record.name)}
            case Instance() | ServiceVersion():
                touched.services |= {record.service, *_copied_to(world, record.service)}
            case Mirror() | Autoscaler():
                touched.services.add(record.service)
            case AccessToken():
                owners = touched.services if record.owner_kind == "service" else touched.groups
                owners.add(record.owner)
            case Group():
                touched.groups.add(record.name)
            case Ramp():
                touched.groups.add(record.group)
            case Gateway():
                touched.gateways |= {record.name, record.host}
            case Registry():
                touched.services |= set(registered_at(record.id))
            case Secret():
                _by_secret(touched, world, record.name, registered_at)
    return touched


def _copied_to(world: World, service: str) -> Iterable[str]:
    """The services whose requests are copied to this one: its endpoints are part of their routes."""
    return (mirror.service for mirror in world.mirrors_to(service))


def _by_secret(
    touched: Touched, world: World, secret: str, registered_at: Callable[[str], Iterable[str]]
) -> None:
    for gateway in world.gateways.values():
        if secret == gateway.upstream_tls_secret or any(secret == d.secret for d in gateway.domains):
            touched.gateways.add(gateway.name)
    for registry in world.registries.values():
        if registry.secret == secret:
            touched.services |= set(registered_at(registry.id))
