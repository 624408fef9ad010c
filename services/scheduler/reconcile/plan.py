"""What one service needs next: instances to make, instances to take out. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from libs.domain.records import Instance, Node, Service
from libs.domain.states import LIVE_STATES, TROUBLED_STATES, InstanceState
from services.scheduler.facts import Facts

_USELESS = TROUBLED_STATES | {InstanceState.PENDING}


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
    old: list[Removal] = []
    for instance in live:
        why = obsolete(instance, service, nodes)
        if why:
            old.append(Removal(instance, why))
        else:
            current.append(instance)
    create = min(wanted - len(current), wanted + facts.surge(wanted) - len(live) if old else wanted)
    needed = wanted - facts.unavailable(wanted)
    remove = [*_surplus(current, wanted), *_replaced(current, old, wanted, needed)]
    return ServicePlan(create=max(0, create), remove=tuple(remove), why=_why_create(service, create, old))


def obsolete(instance: Instance, service: Service, nodes: Mapping[str, Node]) -> str:
    """Why an instance must be replaced; empty when it may stay."""
    if instance.version != service.version:
        return f"version {service.version} replaces version {instance.version}"
    if predates_restart(instance, service):
        return "a restart of the service was asked for"
    node = nodes.get(instance.node)
    if node is not None and node.draining:
        return f"node {node.name} is being drained"
    if node is not None and instance.state in TROUBLED_STATES and instance.host_port in node.busy_ports:
        return f"port {instance.host_port} of node {node.name} belongs to another program"
    return ""


def predates_restart(instance: Instance, service: Service) -> bool:
    """Whether it was made before a restart of its service was asked for."""
    return service.restarted_at is not None and instance.created_at < service.restarted_at


def _surplus(current: list[Instance], wanted: int) -> list[Removal]:
    """The ones to lose when there are too many: not ready first, then the youngest."""
    ranked = sorted(
        current, key=lambda i: (i.ready, i.state is InstanceState.RUNNING, -i.created_at.timestamp())
    )
    extra = len(current) - wanted
    return [Removal(i, _wanted_now(wanted)) for i in ranked[: max(0, extra)]]


def _replaced(current: list[Instance], old: list[Removal], wanted: int, needed: int) -> list[Removal]:
    """The replaced ones that may leave now: `needed` ready instances stay whatever happens."""
    ready = sum(i.ready for i in current) + sum(removal.instance.ready for removal in old)
    spare = len(current) + len(old) - wanted
    leaving = []
    for removal in sorted(old, key=lambda r: (r.instance.ready, r.instance.created_at)):
        instance = removal.instance
        if instance.ready and ready - 1 < needed:
            continue
        # One that is not ready takes no traffic; it goes as soon as a successor exists, or at once when it
        # is in trouble and only holds the room that its successor needs.
        if not instance.ready and spare <= 0 and instance.state not in _USELESS:
            continue
        ready -= instance.ready
        spare -= 1
        leaving.append(removal)
    return leaving


def _why_none(service: Service) -> str:
    if service.deleting:
        return "the service is being deleted"
    return "the service is stopped" if service.stopped else "no instances are wanted"


def _why_create(service: Service, create: int, old: list[Removal]) -> str:
    if create <= 0:
        return ""
    return old[0].why if old else _wanted_now(service.wanted)


def _wanted_now(count: int) -> str:
    return "1 instance is wanted" if count == 1 else f"{count} instances are wanted"
