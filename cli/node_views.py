"""What a person sees of nodes, their GPUs, the groups they are in and the images pulled to them."""

from cli.output import Columns
from cli.progress import progress_text
from cli.resource_texts import gib, labels_text, used_of
from easel_sdk.types import Going, Gpu, ImagePull, ImagePullOnNode, Node, ResourceGroup


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


def going_text(node: Node) -> str:
    """When and why its owner takes the node away: "taken away at 2030-01-31 12:00:00Z: outbid"."""
    if node.reclaim_at is None:
        return ""
    why = f": {node.reclaim_why}" if node.reclaim_why else ""
    return f"taken away at {node.reclaim_at:%Y-%m-%d %H:%M:%S}Z{why}"


def leaving_text(going: Going) -> str:
    """What becomes of the instances of a node that is taken away."""
    count, room, late = going.moving, going.room, going.hurried
    if not count:
        return "no instance is on it"
    noun = "instance" if count == 1 else "instances"
    hurry = f"; {late} {'leaves' if late == 1 else 'leave'} at once, for lack of time" if late else ""
    if room >= count:
        before = "" if late else " before"
        return f"{count} {noun} {'moves' if count == 1 else 'move'}{before}{hurry}"
    must = f"{count} {noun} {'has' if count == 1 else 'have'} to leave"
    finds = f"{room or 'none'} {'finds' if room < 2 else 'find'} room elsewhere now"
    return f"{must}, and {finds}: one without is lost with the node{hurry}"


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
    ("WHY", lambda each: "; ".join(filter(None, (each.why, going_text(each))))),
)
RESOURCE_GROUPS: Columns[ResourceGroup] = (
    ("RESOURCE", lambda each: each.name),
    ("KIND", lambda each: each.kind),
    ("NODES", lambda each: each.nodes),
    ("USED", lambda each: used_of(each.allocated, each.capacity)),
    ("AGE", lambda each: each.created_at),
)


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
        ("taken away", going_text(node).removeprefix("taken away ")),
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
