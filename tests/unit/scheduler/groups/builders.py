"""Groups, their members and ramps: say only what matters."""

from typing import Any

from libs.domain.records import Instance, Service
from libs.domain.states import TrafficState
from libs.domain.traffic import Group, Ramp
from tests.support.builders import NOON, a_ready_instance, a_service


def a_group(name: str = "shop", **changes: Any) -> Group:
    base: dict[str, Any] = {"token": "group secret", "created_at": NOON, "updated_at": NOON, "revision": 1}
    return Group(name, **{**base, **changes})


def a_member(name: str, **changes: Any) -> Service:
    return a_service(name, **{"group": "shop", "traffic_state": TrafficState.GROUPING, **changes})


def a_standalone_member(name: str, **changes: Any) -> Service:
    return a_member(name, traffic_state=TrafficState.STANDALONE, **changes)


def instances_of(service: str, count: int) -> tuple[Instance, ...]:
    """Ready ones."""
    return tuple(a_ready_instance(f"{service}-{n}", service=service) for n in range(count))


def a_ramp(service: str = "canary", **changes: Any) -> Ramp:
    base: dict[str, Any] = {
        "group": "shop",
        "steps": (1, 5, 25, 50, 100),
        "every_s": 60,
        "started_at": NOON,
        "stepped_at": NOON,
        "max_error_rate": 0.01,
        "revision": 1,
    }
    return Ramp(service, **{**base, **changes})
