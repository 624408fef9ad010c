"""`easel desc`: everything about one service on one screen."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import typer

from cli.output import facts, out, put, table
from cli.session import listed
from cli.views import EVENTS, INSTANCES, labels_text
from cli.writing import calling
from easel_sdk.types import Event, Instance, Service

if TYPE_CHECKING:
    from collections.abc import Mapping

    from easel_sdk import AsyncEasel

_EVENTS = 10
_SIZES = (("cpu", ""), ("memory", "MiB"), ("gpu", ""), ("disk", "GiB"))


@dataclass(frozen=True)
class Description:
    """A service, its instances, and its newest events, newest first."""

    service: Service
    instances: list[Instance]
    events: list[Event]


async def described(easel: "AsyncEasel", name: str) -> Description:
    service = await easel.services.get(name)
    instances = await listed(easel.instances.list(service=name))
    events = await listed(easel.events.list(service=name, page_size=_EVENTS), _EVENTS)
    return Description(service, instances, events)


def show_description(description: Description) -> None:
    service = description.service
    console = out()
    put(facts([*_heading(service), *_summary(service.spec)]))
    for title, lines in (("pending", service.pending_reasons), ("call it", _calling(service))):
        if lines:
            console.print(f"\n{title}", style="bold")
        for line in lines:
            typer.echo(f"  {line.strip()}")
    if description.instances:
        console.print("\ninstances", style="bold")
        put(table(description.instances, INSTANCES))
    if description.events:
        console.print("\nlast events", style="bold")
        put(table(description.events[::-1], EVENTS))


def _heading(service: Service) -> list[tuple[str, object]]:
    running = "" if service.running_version == service.version else f" (running: {service.running_version})"
    return [
        ("service", service.name),
        ("state", service.state),
        ("why", service.why),
        ("instances", f"{service.ready} of {service.wanted} ready, {service.pending} pending"),
        ("version", f"{service.version}{running}"),
        ("resource group", service.resource_group),
        ("labels", labels_text(service.labels)),
        ("created", service.created_at),
        ("changed", service.updated_at),
    ]


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
    for each in spec.get("storage") or []:
        if isinstance(each, dict) and each.get("mount_path"):
            source = next((value.get("path") for value in each.values() if isinstance(value, dict)), "")
            lines.append(("mount", f"{each['mount_path']} from {source}" if source else each["mount_path"]))
    return lines


def _sized(value: object, unit: str) -> str:
    """A bare number is in the unit of its key; text such as `4Gi` names its own."""
    return f"{value} {unit}".strip() if str(value).replace(".", "", 1).isdigit() else str(value)


def _calling(service: Service) -> list[str]:
    return calling(service) if service.endpoint else []
