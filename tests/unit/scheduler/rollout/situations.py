"""Situations for tests of the planner: say only what matters."""

from collections.abc import Iterable
from typing import Any

from libs.domain.records import Instance, Rollout
from libs.domain.states import InstanceState, RolloutPhase
from services.scheduler.rollout.plan import ServicePlan, plan_service
from services.scheduler.rollout.situation import Situation
from tests.support.builders import NOON, a_node, a_ready_instance, a_service, an_instance, at

NODES = {"n1": a_node("n1"), "n2": a_node("n2")}


def planned(instances: Iterable[Instance] = (), **fields: Any) -> ServicePlan:
    """The plan for these instances; `service` takes fields of a service, the others are the situation's."""
    base: dict[str, Any] = {
        "rollout": None,
        "nodes": NODES,
        "fences": {},
        "surge": 1,
        "unavailable": 0,
        "now": at(60),
    }
    service = a_service(**fields.pop("service", {}))
    return plan_service(Situation(service, instances=tuple(instances), **{**base, **fields}))


def updated(instances: Iterable[Instance], wanted: int, **fields: Any) -> ServicePlan:
    """The plan in the middle of an update from version 1 to version 2."""
    rollout = fields.pop("rollout", None) or a_rollout()
    service = {"wanted": wanted, "version": 2, "stable_version": 1, **fields.pop("service", {})}
    return planned(instances, service=service, rollout=rollout, **fields)


def a_rollout(**changes: Any) -> Rollout:
    base: dict[str, Any] = {
        "version": 2,
        "from_version": 1,
        "started_at": NOON,
        "phase": RolloutPhase.RUNNING,
        "revision": 1,
    }
    return Rollout("digits", **{**base, **changes})


def olds(count: int, **changes: Any) -> list[Instance]:
    return [a_ready_instance(f"old-{n}", **changes) for n in range(count)]


def news(count: int, **changes: Any) -> list[Instance]:
    return [a_ready_instance(f"new-{n}", version=2, **changes) for n in range(count)]


def starting(name: str = "new-s", version: int = 2, **changes: Any) -> Instance:
    base: dict[str, Any] = {"state": InstanceState.STARTING, "node": "n1", "started_at": NOON}
    return an_instance(name, version=version, **{**base, **changes})


def crashing(name: str = "new-x", version: int = 2, **changes: Any) -> Instance:
    crash = {"state": InstanceState.CRASH_LOOP_BACK_OFF, "why": "exited with code 1", "restarts": 2}
    return starting(name, version, **{**crash, **changes})


def coming_back(name: str, version: int = 1, **changes: Any) -> Instance:
    """It served once, and does not now."""
    return a_ready_instance(name, version=version, ready=False, **changes)


def removed(plan: ServicePlan) -> list[str]:
    return [removal.instance.id for removal in plan.remove]


def created(plan: ServicePlan) -> list[int]:
    return [creation.version for creation in plan.create]
