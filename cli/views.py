"""Which columns a person sees of each noun."""

from collections.abc import Mapping

from cli.output import Columns
from easel_sdk.types import Event, Instance, Node, ResourceGroup, Resources, Service, ServiceVersion, Token


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


SERVICES: Columns[Service] = (
    ("NAME", lambda each: each.name),
    ("STATE", lambda each: each.state),
    ("READY", lambda each: f"{each.ready}/{each.wanted}"),
    ("VERSION", lambda each: each.version),
    ("GROUP", lambda each: each.resource_group),
    ("AGE", lambda each: each.created_at),
    ("WHY", lambda each: each.why),
)
INSTANCES: Columns[Instance] = (
    ("INSTANCE", lambda each: each.id),
    ("STATE", lambda each: each.state),
    ("READY", lambda each: "yes" if each.ready else "no"),
    ("VERSION", lambda each: each.version),
    ("NODE", lambda each: each.node),
    ("ADDRESS", lambda each: f"{each.address}:{each.port}" if each.port else ""),
    ("RESTARTS", lambda each: each.restarts),
    ("AGE", lambda each: each.created_at),
    ("WHY", lambda each: each.why or each.last_exit),
)
VERSIONS: Columns[ServiceVersion] = (
    ("VERSION", lambda each: each.number),
    ("AGE", lambda each: each.created_at),
    ("WHY", lambda each: each.why),
)
NODES: Columns[Node] = (
    ("NODE", lambda each: each.name),
    ("STATE", lambda each: each.state if each.schedulable else f"{each.state},cordoned"),
    ("GROUP", lambda each: each.resource_group),
    ("RUNTIME", lambda each: each.runtime),
    ("USED", lambda each: used_of(each.allocated, each.capacity)),
    ("INSTANCES", lambda each: each.instances),
    ("SEEN", lambda each: each.last_seen),
    ("LABELS", lambda each: labels_text(each.labels)),
    ("WHY", lambda each: each.why),
)
RESOURCE_GROUPS: Columns[ResourceGroup] = (
    ("GROUP", lambda each: each.name),
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
TOKENS: Columns[Token] = (
    ("ID", lambda each: each.id),
    ("NAME", lambda each: each.name),
    ("ROLE", lambda each: each.role),
    ("AGE", lambda each: each.created_at),
)


def node_lines(node: Node) -> list[tuple[str, object]]:
    """What `easel node desc` says, as labels and values."""
    lines: list[tuple[str, object]] = [
        ("node", node.name),
        ("state", node.state if node.schedulable else f"{node.state}, cordoned"),
        ("why", node.why),
        ("resource group", node.resource_group),
        ("runtime", node.runtime),
        ("address", node.address),
        ("zone", node.zone),
        ("used", used_of(node.allocated, node.capacity)),
        ("disk", f"{gib(node.allocated.disk_mib)}/{gib(node.capacity.disk_mib)}"),
        ("instances", node.instances),
        ("labels", labels_text(node.labels)),
        ("agent", node.agent_version),
        ("seen", node.last_seen),
    ]
    if not node.gpus:
        lines.append(("GPUs", f"none: {node.gpu_note}" if node.gpu_note else "none"))
    for gpu in node.gpus:
        health = "" if gpu.healthy else f", unhealthy: {gpu.why}"
        lines.append((f"GPU {gpu.index}", f"{gpu.model}, {gib(gpu.memory_mib)}, {gpu.uuid}{health}"))
    return lines
