"""What can be done to gateways: pure decisions for the ledger.

The shared gateway is always there; a record of it is made when something is set for it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields as fields_of
from dataclasses import replace
from datetime import datetime

from libs.db.changes import Changes
from libs.domain.errors import AlreadyExists, FailedPrecondition, InvalidRequest
from libs.domain.records import Event
from libs.domain.states import EventKind
from libs.domain.traffic import SHARED_GATEWAY, Gateway
from services.scheduler.gateways import checks, ports
from services.scheduler.world import World

SETTABLE = tuple(
    each.name
    for each in fields_of(Gateway)
    if each.name not in ("name", "created_at", "updated_at", "revision")
)
_SHOWN = 5
_NOWHERE: Mapping[str, int] = {}


def gateway_of(world: World, name: str, now: datetime) -> Gateway:
    """The record, or that of a shared gateway of which nothing was set. Raises NotFound."""
    if name == SHARED_GATEWAY and name not in world.gateways:
        return Gateway(name, now, now)
    return world.gateway(name)


def created(world: World, asked: Gateway, now: datetime, listening: Mapping[str, int] = _NOWHERE) -> Changes:
    """`listening` are the ports that gateways say they have. Raises InvalidRequest, AlreadyExists."""
    checks.refuse_name(asked.name)
    if asked.name == SHARED_GATEWAY:
        raise AlreadyExists(f"the shared gateway {asked.name!r} is always there; update it instead")
    if asked.name in world.gateways:
        raise AlreadyExists(f"there is a gateway {asked.name!r} already")
    made = replace(asked, created_at=now, updated_at=now, revision=0)
    _refuse(world, made, listening)
    where = f"run by the process of {made.host!r}" if made.host else "for a process of its own"
    return Changes((made,), (), (_event("GatewayCreated", f"made by hand, {where}", made.name, now),))


def updated(
    world: World,
    asked: Gateway,
    fields: Sequence[str],
    now: datetime,
    listening: Mapping[str, int] = _NOWHERE,
) -> Changes:
    """Takes over the named fields. Raises NotFound, InvalidRequest."""
    before = gateway_of(world, asked.name, now)
    for field in fields:
        if field not in SETTABLE:
            raise InvalidRequest("fields", field, f"fields that can be set ({', '.join(SETTABLE)})")
    differing = [field for field in dict.fromkeys(fields) if getattr(asked, field) != getattr(before, field)]
    if not differing:
        return Changes()
    after = replace(before, updated_at=now, **{field: getattr(asked, field) for field in differing})
    _refuse(world, after, listening)
    return Changes((after,), (), (_event("GatewayChanged", f"set {', '.join(differing)}", after.name, now),))


def deleted(world: World, name: str, now: datetime) -> Changes:
    """Raises NotFound, FailedPrecondition for the shared one and while something is on it."""
    if name == SHARED_GATEWAY:
        raise FailedPrecondition(
            f"{name!r} is the shared gateway, which is always there and cannot be deleted; "
            f"`easel gateway set {name}` changes what is set for it"
        )
    gateway = world.gateway(name)
    _refuse_used("service", (s.name for s in world.services.values() if s.gateway == name), name)
    _refuse_used("group", (g.name for g in world.groups.values() if g.gateway == name), name)
    hosted = sorted(each.name for each in world.gateways.values() if each.host == name)
    if hosted:
        raise FailedPrecondition(
            f"the process of gateway {name!r} runs {', '.join(hosted)}; move or delete those first"
        )
    return Changes((), (gateway,), (_event("GatewayDeleted", "deleted by hand", name, now),))


def _refuse(world: World, gateway: Gateway, listening: Mapping[str, int]) -> None:
    checks.refuse_odd(world, gateway)
    ports.refuse_taken(world, gateway, listening)


def _refuse_used(kind: str, names: Iterable[str], gateway: str) -> None:
    found = sorted(names)
    if not found:
        return
    shown = ", ".join(repr(name) for name in found[:_SHOWN])
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    noun = kind if len(found) == 1 else f"{kind}s"
    raise FailedPrecondition(
        f"gateway {gateway!r} has {noun} {shown}{more}; move or delete what is on it first"
    )


def _event(reason: str, why: str, name: str, now: datetime) -> Event:
    return Event(now, EventKind.NORMAL, reason, why, "gateway", name)
