"""The full set of instances that one node must run. Pure."""

from datetime import timedelta

from easel.agent.v1 import agent_pb2
from libs.domain.errors import InvalidSpec
from libs.domain.records import Instance
from libs.domain.states import InstanceState
from libs.rpc.convert import resources_to_proto
from libs.spec.service import DEFAULT_GRACE_SECONDS
from services.scheduler.datasets import concrete
from services.scheduler.facts import facts_of
from services.scheduler.images.asking import pulls_for
from services.scheduler.secrets.seal import Seal
from services.scheduler.secrets.vault import Vault
from services.scheduler.secrets.wants import Wants, handed_out, wants_of
from services.scheduler.world import World

# How long is waited for requests under way in an instance that is one too many.
PATIENCE = timedelta(hours=1)
_MS = timedelta(milliseconds=1)
# Keys of a store that say where it is, not what opens it.
_NO_SECRET = frozenset({"endpoint", "region", "addressing"})


def order_of(instance: Instance) -> tuple[object, ...] | None:
    """What an agent is told of an instance, None when it must not run it; equal orders need no message."""
    if instance.state is InstanceState.LOST:
        return None
    return (
        instance.epoch,
        instance.document_version,
        instance.gpu_uuids,
        instance.host_port,
        instance.stopping,
        instance.leaves_patiently,
        instance.run,
        instance.isolated or instance.detached,
    )


def desired_state(
    world: World, node: str, epoch: int, vault: Vault | None = None, patience: timedelta = PATIENCE
) -> agent_pb2.DesiredState:
    """Everything placed on `node`, in a fixed order, so that equal states are equal messages.

    Datasets are resolved. Without a vault no secret is handed out. What is one too many may end what is under
    way in it for as long as `patience`, and for as long as its grace period at least.
    """
    vault = vault or Vault(world, Seal(()))
    desired = agent_pb2.DesiredState(epoch=epoch)
    for instance in sorted(world.instances_on(node), key=lambda i: i.id):
        if order_of(instance) is None:
            continue
        spec_json, grace, wants = _read(world, instance)
        desired.assignments.add(
            id=instance.id,
            service=instance.service,
            version=instance.document_version,
            epoch=instance.epoch,
            spec_json=spec_json,
            gpu_uuids=instance.gpu_uuids,
            port=instance.host_port,
            traceparent=instance.traceparent,
            stop=instance.stopping,
            resources=resources_to_proto(instance.resources),
            run=instance.run,
            drain_ms=round((max(grace, patience) if instance.leaves_patiently else grace) / _MS),
            isolated=instance.isolated or instance.detached,
            secrets=handed_out(wants, world.secrets, vault),
        )
    if known := world.nodes.get(node):
        desired.pulls.extend(pulls_for(world, known, vault))
    return desired


def secrets_of(world: World, instance: Instance, vault: Vault) -> frozenset[str]:
    """The values that the instance is handed now and nobody may see."""
    handed = handed_out(_read(world, instance)[2], world.secrets, vault)
    return frozenset(value for name, value in handed.items() if name.rpartition("/")[2] not in _NO_SECRET)


def _read(world: World, instance: Instance) -> tuple[str, timedelta, Wants]:
    """What the instance's document says; one that no longer parses is handed on as it is, and takes only
    its own instance down with it."""
    stored = world.version(instance.service, instance.document_version).spec_json
    try:
        spec_json = concrete(world, stored)
        return spec_json, facts_of(stored).grace, wants_of(spec_json)
    except InvalidSpec:
        return stored, timedelta(seconds=DEFAULT_GRACE_SECONDS), Wants()
