"""Which columns a person sees of each noun."""

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from cli.output import Columns
from cli.phases import under_way
from cli.plans import rollout_text
from cli.progress import leaving_text, progress_text
from cli.quantities import share_text
from easel_sdk.types import (
    Dataset,
    Event,
    Gpu,
    ImagePull,
    ImagePullOnNode,
    Instance,
    InstanceState,
    Node,
    ResourceGroup,
    Resources,
    SafetyLock,
    Secret,
    Service,
    Token,
    TrafficState,
)
from libs.domain.traffic import SHARED_GATEWAY

if TYPE_CHECKING:
    from cli.commands.versions import Standing


_PUBLIC = "public"


def labels_text(labels: Mapping[str, str]) -> str:
    return ",".join(f"{key}={value}" for key, value in sorted(labels.items()))


def cores(milli: int) -> str:
    return f"{milli / 1000:g}"


def gib(mib: int) -> str:
    return f"{mib / 1024:.1f}Gi" if mib >= 1024 else f"{mib}Mi"


def used_of(used: Resources, whole: Resources) -> str:
    """What is placed of what there is: CPU, memory, GPUs."""
    gpus = f"  {used.gpus}/{whole.gpus} GPU" if whole.gpus else ""
    cpu = f"{cores(used.cpu_milli)}/{cores(whole.cpu_milli)} CPU"
    return f"{cpu}  {gib(used.memory_mib)}/{gib(whole.memory_mib)}{gpus}"


def instance_state(instance: Instance) -> str:
    held = ",detached" if instance.detached else ",isolated" if instance.isolated else ""
    return f"{instance.state}{held}"


def instance_why(instance: Instance) -> str:
    """What it is busy with, or why it is as it is."""
    if instance.progress is not None:
        return progress_text(instance.progress)
    if instance.state is InstanceState.TERMINATING:
        return leaving_text(instance)
    return instance.why or instance.last_exit


def _update(service: Service) -> str:
    rollout = under_way(service.rollout)
    return rollout_text(rollout) if rollout else ""


def apart_text(instances: Iterable[Instance]) -> list[str]:
    """How many were put out of traffic by hand: "1 isolated", "2 detached"."""
    found = list(instances)
    detached = sum(each.detached for each in found)
    isolated = sum(each.isolated and not each.detached for each in found)
    return [f"{number} {word}" for number, word in ((isolated, "isolated"), (detached, "detached")) if number]


def ready_text(service: Service, instances: Iterable[Instance] = ()) -> str:
    """How many serve of those wanted, and beside them what is not among these."""
    more = service.ready - service.wanted
    beside = [f"{more} more"] if more > 0 else []
    mine = apart_text(each for each in instances if each.service == service.name)
    return ", ".join([f"{min(service.ready, service.wanted)}/{service.wanted}", *beside, *mine])


def service_columns(services: Sequence[Service], instances: Sequence[Instance] = ()) -> Columns[Service]:
    """The columns for these services: of updates, locks, groups and gateways only where there are some."""
    columns = [
        (title, partial(ready_text, instances=instances) if title == "READY" else value)
        for title, value in SERVICES
    ]
    if any(each.safety_lock is not SafetyLock.NONE for each in services):
        columns.insert(4, ("LOCK", lambda each: each.safety_lock))
    if any(under_way(each.rollout) for each in services):
        columns.insert(4, ("UPDATE", _update))
    if any(each.gateway not in ("", SHARED_GATEWAY) for each in services):
        columns.insert(4, ("GATEWAY", lambda each: each.gateway))
    if any(each.group for each in services):
        columns.insert(4, ("GROUP", _membership))
    if any(each.resource_group != _PUBLIC for each in services):
        columns.insert(4, ("RESOURCE", lambda each: each.resource_group))
    return columns


def _membership(service: Service) -> str:
    """The group, and which share of its requests the service takes."""
    if not service.group:
        return ""
    takes = service.traffic_state is TrafficState.GROUPING
    return f"{service.group} {share_text(service.traffic_share) if takes else service.traffic_state}"


def instance_columns(instances: Sequence[Instance]) -> Columns[Instance]:
    """The columns for these instances: of causes only where there are some."""
    columns = list(INSTANCES)
    if any(each.cause for each in instances):
        columns.insert(-1, ("CAUSE", lambda each: each.cause))
    return columns


def node_marks(node: Node) -> list[str]:
    """What was done with the node: cordoned, or draining, which is over when nothing runs there; and whether
    its owner takes it away."""
    going = ["going"] if node.reclaim_at is not None else []
    if node.draining:
        return ["draining" if node.instances else "drained", *going]
    return going if node.schedulable else ["cordoned", *going]


def machine_text(node: Node) -> str:
    """The type of machine with what it costs: "ecs.gn6i, spot, 0.35 an hour"."""
    price = f"{node.price:g} an hour" if node.price else ""
    return ", ".join(each for each in (node.instance_type, "spot" if node.spot else "", price) if each)


SERVICES: Columns[Service] = (
    ("NAME", lambda each: each.name),
    ("STATE", lambda each: each.state),
    ("READY", ready_text),
    ("VERSION", lambda each: each.version),
    ("AGE", lambda each: each.created_at),
    ("WHY", lambda each: each.why),
)
INSTANCES: Columns[Instance] = (
    ("INSTANCE", lambda each: each.id),
    ("STATE", instance_state),
    ("READY", lambda each: "yes" if each.ready else "no"),
    ("VERSION", lambda each: each.version),
    ("NODE", lambda each: each.node),
    ("ADDRESS", lambda each: f"{each.address}:{each.port}" if each.port else ""),
    ("RESTARTS", lambda each: each.restarts),
    ("AGE", lambda each: each.created_at),
    ("WHY", instance_why),
)
VERSIONS: "Columns[Standing]" = (
    ("VERSION", lambda each: each.version.number),
    ("IS", lambda each: each.mark),
    ("AGE", lambda each: each.version.created_at),
    ("WHY", lambda each: each.version.why),
)
NODES: Columns[Node] = (
    ("NODE", lambda each: each.name),
    ("STATE", lambda each: ",".join([each.state, *node_marks(each)])),
    ("RESOURCE", lambda each: each.resource_group),
    ("RUNTIME", lambda each: each.runtime),
    ("USED", lambda each: used_of(each.allocated, each.capacity)),
    ("INSTANCES", lambda each: each.instances),
    ("MACHINE", machine_text),
    ("SEEN", lambda each: each.last_seen),
    ("LABELS", lambda each: labels_text(each.labels)),
    ("WHY", lambda each: each.why),
)
RESOURCE_GROUPS: Columns[ResourceGroup] = (
    ("RESOURCE", lambda each: each.name),
    ("KIND", lambda each: each.kind),
    ("NODES", lambda each: each.nodes),
    ("USED", lambda each: used_of(each.allocated, each.capacity)),
    ("AGE", lambda each: each.created_at),
)
EVENTS: Columns[Event] = (
    ("AGE", lambda each: each.at),
    ("KIND", lambda each: each.kind),
    ("REASON", lambda each: each.reason),
    ("SUBJECT", lambda each: each.subject),
    ("WHY", lambda each: each.why),
)
SECRETS: Columns[Secret] = (
    ("SECRET", lambda each: each.name),
    ("KEYS", lambda each: ",".join(each.keys)),
    ("AGE", lambda each: each.created_at),
    ("CHANGED", lambda each: each.updated_at),
    ("USED BY", lambda each: ",".join(each.used_by)),
    ("WHY", lambda each: each.why),
)
DATASETS: Columns[Dataset] = (
    ("DATASET", lambda each: each.id),
    ("VERSION", lambda each: each.version),
    ("SOURCE", lambda each: json.dumps(each.source)),
    ("AGE", lambda each: each.created_at),
    ("USED BY", lambda each: ",".join(each.used_by)),
    ("DESCRIPTION", lambda each: each.description),
)
TOKENS: Columns[Token] = (
    ("ID", lambda each: each.id),
    ("NAME", lambda each: each.name),
    ("ROLE", lambda each: each.role),
    ("AGE", lambda each: each.created_at),
)


def pull_state(each: ImagePullOnNode) -> str:
    return "Failed" if each.failed else "Ready" if each.done else "Pulling" if each.progress else "Waiting"


def pull_why(each: ImagePullOnNode) -> str:
    return progress_text(each.progress) if each.progress and not each.done else each.why


# One row a node; a pull that no node has taken up yet is a row without one.
PULLS: "Columns[tuple[ImagePull, ImagePullOnNode | None]]" = (
    ("ID", lambda row: row[0].id),
    ("IMAGE", lambda row: row[0].image),
    ("RESOURCE", lambda row: row[0].resource_group),
    ("AGE", lambda row: row[0].created_at),
    ("NODE", lambda row: row[1].node if row[1] else ""),
    ("STATE", lambda row: pull_state(row[1]) if row[1] else ""),
    ("WHY", lambda row: pull_why(row[1]) if row[1] else "no node of the group has taken it up yet"),
)


def gpu_state(gpu: Gpu) -> str:
    return "Fenced" if gpu.fenced else "Ready" if gpu.healthy else "Unhealthy"


GPUS: "Columns[tuple[str, Gpu]]" = (
    ("NODE", lambda row: row[0]),
    ("GPU", lambda row: row[1].index),
    ("UUID", lambda row: row[1].uuid),
    ("MODEL", lambda row: row[1].model),
    ("MEMORY", lambda row: gib(row[1].memory_mib)),
    ("STATE", lambda row: gpu_state(row[1])),
    ("WHY", lambda row: row[1].why),
)


def instance_lines(instance: Instance) -> list[tuple[str, object]]:
    """What `easel instance desc` says, as labels and values."""
    asked = instance.resources
    gpus = f", {asked.gpus} GPU" if asked.gpus else ""
    return [
        ("instance", instance.id),
        ("service", f"{instance.service}, version {instance.version}"),
        ("state", instance_state(instance)),
        ("ready", "yes" if instance.ready else "no"),
        ("why", instance_why(instance)),
        ("cause", instance.cause),
        ("node", instance.node),
        ("address", f"{instance.address}:{instance.port}" if instance.port else ""),
        ("runtime", instance.runtime),
        ("has", f"{cores(asked.cpu_milli)} CPU, {gib(asked.memory_mib)}{gpus}"),
        ("GPUs", ", ".join(instance.gpu_uuids)),
        ("connections", instance.connections or ""),
        ("restarts", instance.restarts),
        ("last run", instance.last_exit),
        ("created", instance.created_at),
        ("started", instance.started_at),
        ("ready since", instance.ready_at),
    ]


def node_lines(node: Node) -> list[tuple[str, object]]:
    """What `easel node desc` says, as labels and values."""
    lines: list[tuple[str, object]] = [
        ("node", node.name),
        ("state", ", ".join([node.state, *node_marks(node)])),
        ("why", node.why),
        ("resource group", node.resource_group),
        ("runtime", node.runtime),
        ("address", node.address),
        ("zone", node.zone),
        ("used", used_of(node.allocated, node.capacity)),
        ("disk", f"{gib(node.allocated.disk_mib)}/{gib(node.capacity.disk_mib)}"),
        ("instances", node.instances),
        ("machine", machine_text(node)),
        ("taken away", f"at {node.reclaim_at:%Y-%m-%d %H:%M:%S}Z" if node.reclaim_at else ""),
        ("labels", labels_text(node.labels)),
        ("agent", node.agent_version),
        ("seen", node.last_seen),
    ]
    if not node.gpus:
        lines.append(("GPUs", f"none: {node.gpu_note}" if node.gpu_note else "none"))
    for gpu in node.gpus:
        health = f", {gpu_state(gpu).lower()}: {gpu.why}" if gpu.fenced or not gpu.healthy else ""
        lines.append((f"GPU {gpu.index}", f"{gpu.model}, {gib(gpu.memory_mib)}, {gpu.uuid}{health}"))
    return lines
