"""How many instances a service is to have: by its document, by its user, by its policy. Pure."""

import json
from dataclasses import dataclass, replace
from datetime import datetime

from libs.db.changes import Changes
from libs.domain.errors import InvalidRequest
from libs.domain.records import Event, Service, ServiceVersion
from libs.spec import ServiceSpec
from libs.spec.autoscaler import Autoscaler as AutoscalerSpec
from services.scheduler.admin.writing import resized
from services.scheduler.scaling.history import BY_HAND, Cause, scaled
from services.scheduler.scaling.policies import autoscaler_of, may_sleep
from services.scheduler.world import World


def first_size(spec: ServiceSpec) -> int:
    """How many instances a new service begins with."""
    wanted = spec.metadata.instance
    return spec.autoscaler.bounded(wanted) if spec.autoscaler is not None else wanted


def size_asked(
    world: World, service: Service, spec: ServiceSpec, stored: ServiceVersion, replaces: bool
) -> int:
    """How many instances an updated document asks for; within the bounds of its autoscaler, if it has one.

    A whole file (`replaces`) that says what the version has said all along asks for no change of what the
    autoscaler has made of it.
    """
    scaler = spec.autoscaler
    if _autoscaler_json(spec) == json.loads(stored.spec_json).get("autoscaler"):
        scaler = autoscaler_of(world, service.name)
    asked = spec.metadata.instance
    if scaler is None:
        return asked
    said_before = json.loads(stored.spec_json)["metadata"].get("instance", 1)
    same = asked == service.wanted or (replaces and asked == said_before)
    return service.wanted if same else scaler.bounded(asked)


def scaled_by_hand(
    world: World, service: Service, wanted: int, why: str, leave_first: tuple[str, ...], now: datetime
) -> Changes:
    """A size that a user asks for; an autoscaler may change it again, within its bounds.

    Raises InvalidRequest for one beyond them, which would not last.
    """
    _refuse_beyond_bounds(world, service.name, wanted)
    why = why or f"scaled from {service.wanted} to {wanted} instances by hand"
    if service.name in world.autoscalers:
        why = f"{why}; its autoscaler may change it again"
    event = scaled(service, wanted, Cause(BY_HAND, why), now)
    sleeps = may_sleep(world, service.name)
    after = _with_size(service, wanted) if sleeps else resized(service, wanted)
    after = replace(after, leave_first=leave_first, updated_at=now, edits=service.edits + 1)
    return Changes(put=(after,), events=(event,))


def _refuse_beyond_bounds(world: World, service: str, wanted: int) -> None:
    scaler = autoscaler_of(world, service)
    if scaler is None or scaler.bounded(wanted) == wanted:
        return
    moved = f"max={wanted}" if wanted > scaler.max else f"min={wanted}"
    ways = f"`easel autoscale {service} -D {moved}` moves them"
    if not wanted:
        ways = f"{ways} and lets it sleep, `easel stop {service}` stops it"
    bounds = f"{scaler.min} to {scaler.max}, within which its autoscaler keeps it"
    raise InvalidRequest("instances", wanted, f"{bounds}; {ways}")


def _autoscaler_json(spec: ServiceSpec) -> dict[str, object] | None:
    return spec.autoscaler.to_json() if spec.autoscaler is not None else None


@dataclass(frozen=True)
class Resized:
    """A service as a policy leaves it, with the event of its size where that is another one."""

    service: Service
    events: tuple[Event, ...] = ()


def bounded(service: Service, scaler: AutoscalerSpec, now: datetime) -> Resized:
    """Within the bounds of a policy that was set."""
    wanted = scaler.bounded(service.wanted)
    bound = f"at least {scaler.min}" if wanted > service.wanted else f"at most {scaler.max}"
    return _resized(service, wanted, f"its autoscaler was set to {bound}", now)


def awake(service: Service, scaler: AutoscalerSpec, now: datetime) -> Resized:
    """With instances, where it slept by a policy that was removed. One that is stopped as well has them once
    it is started."""
    wanted = service.wanted or max(1, scaler.behavior.on_zero.scale_up_activation_replicas)
    why = "its autoscaler was removed while it slept, and nothing else would wake it"
    return _resized(service, wanted, why, now)


def _resized(service: Service, wanted: int, why: str, now: datetime) -> Resized:
    if wanted == service.wanted:
        return Resized(service)
    return Resized(_with_size(service, wanted), (scaled(service, wanted, Cause(BY_HAND, why), now),))


def _with_size(service: Service, wanted: int) -> Service:
    """Those that were to leave first for another size are forgotten."""
    return replace(service, wanted=wanted, leave_first=())
