"""What one service needs next: instances to make, instances to take out. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from libs.domain.records import Instance, Node, Service
from libs.domain.states import LIVE_STATES, TROUBLED_STATES, InstanceState, NodeState
from services.scheduler.facts import Facts


@dataclass(frozen=True)
class Removal:
    """An instance that must leave, and the sentence why."""

    instance: Instance
    why: str


@dataclass(frozen=True)
class ServicePlan:
    """How many instances of the newest version to make, and which to remove."""

    create: int = 0
    remove: tuple[Removal, ...] = ()
    why: str = ""


def plan_service(
    service: Service, facts: Facts, instances: Iterable[Instance], nodes: Mapping[str, Node]
) -> ServicePlan:
    """Start-before-stop: an old instance leaves only when enough ready ones remain without it."""
    live = [i for i in instances if i.state in LIVE_STATES]
    wanted = 0 if service.stopped or service.deleting else service.wanted
    if wanted == 0:
        return ServicePlan(remove=tuple(Removal(i, _why_none(service)) for i in live))
    current: list[Instance] = []
    old: list[Instance] = []
    for instance in live:
        (old if obsolete(instance, service, nodes) else current).append(instance)
    create = min(wanted - len(current), wanted + facts.surge(wanted) - len(live) if old else wanted)
    remove = [*_surplus(current, wanted), *_replaced(current, old, service, wanted, facts)]
    return ServicePlan(create=max(0, create), remove=tuple(remove), why=_why_create(service, create, old))


def obsolete(instance: Instance, service: Service, nodes: Mapping[str, Node]) -> str:
    """Why an instance must be replaced; empty when it may stay."""
    if instance.version != service.version:
        return f"version {service.version} replaces version {instance.version}"
    if service.restarted_at is not None and instance.created_at < service.restarted_at:
        return "a restart of the service was asked for"
    node = nodes.get(instance.node)
    if node is not None and node.draining:
        return f"node {node.name} is being drained"
    return ""


def _surplus(current: list[Instance], wanted: int) -> list[Removal]:
    """The ones to lose when there are too many: not ready first, then the youngest."""
    ranked = sorted(
        current, key=lambda i: (i.ready, i.state is InstanceState.RUNNING, -i.created_at.timestamp())
    )
    extra = len(current) - wanted
    return [Removal(i, f"{wanted} instances are wanted") for i in ranked[: max(0, extra)]]


def _replaced(
    current: list[Instance], old: list[Instance], service: Service, wanted: int, facts: Facts
) -> list[Removal]:
    needed = wanted - facts.unavailable(wanted)
    ready = sum(i.ready for i in current) + sum(i.ready for i in old)
    covered = len(current) >= wanted
    removals = []
    for instance in sorted(old, key=lambda i: (i.ready, i.created_at)):
        if instance.ready and ready - 1 < needed:
            continue
        # One that never became ready takes no traffic; it goes as soon as its successor exists, or at
        # once when it is in trouble and only holds the room that its successor needs.
        if (
            not instance.ready
            and not covered
            and instance.state not in TROUBLED_STATES | {InstanceState.PENDING}
        ):
            continue
        ready -= instance.ready
        why = f"version {service.version} replaces version {instance.version}"
        removals.append(
            Removal(instance, why if instance.version != service.version else "it is being replaced")
        )
    return removals


def _why_none(service: Service) -> str:
    if service.deleting:
        return "the service is being deleted"
    return "the service is stopped" if service.stopped else "no instances are wanted"


def _why_create(service: Service, create: int, old: list[Instance]) -> str:
    if create <= 0:
        return ""
    return f"version {service.version} is rolled out" if old else f"{service.wanted} instances are wanted"


def may_be_given_up(node: Node | None) -> bool:
    """Whether what was on this node must be made anew elsewhere."""
    return node is None or node.state is NodeState.LOST
