"""Values for tests: say only what matters."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from libs.db.changes import Changes, Contents, Record
from libs.domain.records import Instance, Node, ResourceGroup, Resources, Service, ServiceVersion
from libs.domain.states import InstanceState, NodeState
from services.scheduler.world import World

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def at(seconds: float) -> datetime:
    """`seconds` after noon."""
    return NOON + timedelta(seconds=seconds)


def a_spec(name: str = "digits", **metadata: Any) -> dict[str, Any]:
    """A small service.json; keyword arguments go into its metadata."""
    return {
        "metadata": {"name": name, "instance": 1, **metadata},
        "containers": [{"image": "python:3.11-slim", "script": "python app.py", "port": 8000}],
    }


def a_service(name: str = "digits", **changes: Any) -> Service:
    base: dict[str, Any] = {
        "id": f"svc-{name}",
        "version": 1,
        "wanted": 1,
        "token": "secret",
        "created_at": NOON,
        "updated_at": NOON,
        "revision": 1,
    }
    return Service(name=name, **{**base, **changes})


def a_version(
    service: str = "digits", number: int = 1, spec: Mapping[str, Any] | None = None
) -> ServiceVersion:
    return ServiceVersion(service, number, json.dumps(spec or a_spec(service)), NOON, revision=1)


def an_instance(id: str = "digits-a", **changes: Any) -> Instance:  # noqa: A002
    base: dict[str, Any] = {"service": "digits", "version": 1, "created_at": NOON, "revision": 1}
    return Instance(id=id, **{**base, **changes})


def a_ready_instance(id: str = "digits-a", **changes: Any) -> Instance:  # noqa: A002
    base: dict[str, Any] = {
        "state": InstanceState.RUNNING,
        "ready": True,
        "node": "n1",
        "epoch": 1,
        "address": "127.0.0.1",
        "port": 20000,
        "started_at": NOON,
        "ready_at": NOON,
    }
    return an_instance(id, **{**base, **changes})


def a_node(name: str = "n1", **changes: Any) -> Node:
    base: dict[str, Any] = {
        "created_at": NOON,
        "state": NodeState.READY,
        "address": "127.0.0.1",
        "capacity": Resources(cpu_milli=8000, memory_mib=16_000, disk_mib=100_000),
        "first_port": 20000,
        "last_port": 20999,
        "revision": 1,
    }
    return Node(name=name, **{**base, **changes})


def a_world(*records: Record) -> World:
    """A picture of these records, with the public group in it."""
    world = World(Contents(resource_groups=(ResourceGroup("public", "public", NOON, revision=1),)))
    world.apply(Changes(put=records))
    return world
