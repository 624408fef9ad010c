"""What a person sees of instances."""

from collections.abc import Iterable, Sequence

from cli.output import Columns
from cli.progress import leaving_text, progress_text
from cli.resource_texts import cores, gib
from easel_sdk.types import Instance, InstanceState


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


def apart_text(instances: Iterable[Instance]) -> list[str]:
    """How many were put out of traffic by hand: "1 isolated", "2 detached"."""
    found = list(instances)
    detached = sum(each.detached for each in found)
    isolated = sum(each.isolated and not each.detached for each in found)
    return [f"{number} {word}" for number, word in ((isolated, "isolated"), (detached, "detached")) if number]


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


def instance_columns(instances: Sequence[Instance]) -> Columns[Instance]:
    """The columns for these instances: of causes only where there are some."""
    columns = list(INSTANCES)
    if any(each.cause for each in instances):
        columns.insert(-1, ("CAUSE", lambda each: each.cause))
    return columns


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
