"""`easel desc`: everything about one service on one screen."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import typer

from cli.gateway_views import gateway_state
from cli.instance_views import apart_text, instance_columns
from cli.mounts import mounts
from cli.output import facts, out, put, table
from cli.phases import readiness
from cli.plans import plan_text, rollout_text
from cli.resource_texts import labels_text
from cli.session import listed
from cli.traffic_views import traffic_text
from cli.views import EVENTS
from cli.writing import calling
from easel_sdk.errors import NotFound
from easel_sdk.types import Event, Gateway, Instance, RolloutPhase, SafetyLock, Service

if TYPE_CHECKING:
    from collections.abc import Mapping

    from easel_sdk import AsyncEasel

_EVENTS = 10
_SIZES = (("cpu", ""), ("memory", "MiB"), ("gpu", ""), ("disk", "GiB"))

_LOCKS = {
    SafetyLock.DANGEROUS: "dangerous: it refuses to be stopped and deleted",
    SafetyLock.ALL: "all: it refuses every change but that of the lock",
}


@dataclass(frozen=True)
class Description:
    """A service, its instances, and its newest events, newest first."""

    service: Service
    instances: list[Instance]
    events: list[Event]
    gateway: Gateway | None


async def described(easel: "AsyncEasel", name: str) -> Description:
    service = await easel.services.get(name)
    instances = await listed(easel.instances.list(service=name))
    events = await listed(easel.events.list(service=name, page_size=_EVENTS), _EVENTS)
    return Description(service, instances, events, await _gateway_of(easel, service))


async def _gateway_of(easel: "AsyncEasel", service: Service) -> Gateway | None:
    try:
        return await easel.gateways.get(service.gateway) if service.gateway else None
    except NotFound:
        return None


def show_description(description: Description) -> None:
    service = description.service
    console = out()
    put(facts([*_heading(description), *_summary(service.spec)]))
    for title, lines in (
        ("update", _update(service)),
        ("pending", service.pending_reasons),
        ("call it", _calling(service)),
    ):
        if lines:
            console.print(f"\n{title}", style="bold")
        for line in lines:
            typer.echo(f"  {line.strip()}")
    if description.instances:
        console.print("\ninstances", style="bold")
        put(table(description.instances, instance_columns(description.instances)))
    if description.events:
        console.print("\nlast events", style="bold")
        put(table(description.events[::-1], EVENTS))


def _heading(description: Description) -> list[tuple[str, object]]:
    service, instances = description.service, description.instances
    notes = [] if service.running_version == service.version else [f"running: {service.running_version}"]
    if service.latest_version > service.version:
        notes.append(f"newest: {service.latest_version}")
    return [
        ("service", service.name),
        ("state", service.state),
        ("why", service.why),
        ("instances", ", ".join([readiness(service), f"{service.pending} pending", *apart_text(instances)])),
        ("version", f"{service.version} ({', '.join(notes)})" if notes else service.version),
        ("lock", "" if service.safety_lock is SafetyLock.NONE else _LOCKS[service.safety_lock]),
        ("deleted", _deletion(service)),
        ("resource group", service.resource_group),
        ("group", service.group),
        ("traffic", traffic_text(service)),
        ("gateway", _gateway_text(service, description.gateway)),
        ("labels", labels_text(service.labels)),
        ("created", service.created_at),
        ("changed", service.updated_at),
    ]


def _gateway_text(service: Service, gateway: Gateway | None) -> str:
    """Its name, and what is wrong with it."""
    state = gateway_state(gateway) if gateway is not None else "Ready"
    if gateway is None or state == "Ready":
        return service.gateway
    return f"{service.gateway} ({state}{f': {gateway.why}' if gateway.why else ''})"


def _deletion(service: Service) -> str:
    if service.delete_at is None:
        return ""
    return f"on {service.delete_at.astimezone():%Y-%m-%d %H:%M}, unless it runs before"


def _update(service: Service) -> list[str]:
    """The newest update, unless it is over and went well by a user's wish."""
    rollout = service.rollout
    if rollout is not None and rollout.phase is RolloutPhase.COMPLETED and rollout.because:
        return [f"version {rollout_text(rollout)}", rollout.because]
    if rollout is None or rollout.phase is RolloutPhase.COMPLETED:
        return []
    lines = [
        f"version {rollout_text(rollout)}",
        rollout.why,
        rollout.because,
        f"plan: {plan_text(rollout.plan)}",
    ]
    return [line for line in lines if line]


def _summary(spec: "Mapping[str, Any]") -> list[tuple[str, object]]:
    """The lines of the service.json that say what runs and with how much."""
    lines: list[tuple[str, object]] = []
    metadata = spec.get("metadata", {})
    sizes = [f"{key} {_sized(metadata[key], unit)}" for key, unit in _SIZES if metadata.get(key)]
    if sizes:
        lines.append(("each instance", ", ".join(sizes)))
    for container in spec.get("containers") or []:
        for key in ("image", "script", "command", "port"):
            if container.get(key):
                lines.append((key, container[key]))
    for key in ("processor", "model_path"):
        if spec.get(key):
            lines.append((key, spec[key]))
    return [*lines, *(("mount", each) for each in mounts(spec.get("storage")))]


def _sized(value: object, unit: str) -> str:
    """A bare number is in the unit of its key; text such as `4Gi` names its own."""
    return f"{value} {unit}".strip() if str(value).replace(".", "", 1).isdigit() else str(value)


def _calling(service: Service) -> list[str]:
    return calling(service) if service.endpoint else []
