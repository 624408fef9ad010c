"""One service, node or gateway as metrics and the autoscaler are told of it. Pure."""

from collections.abc import Sequence

from easel.common.v1 import common_pb2
from easel.facts.v1 import facts_pb2
from libs.domain.records import PUBLIC_GROUP, GpuFence, Instance, Node, Resources, Service
from libs.domain.scaling import Cronscaler
from libs.domain.states import InstanceState, TokenRole
from libs.domain.traffic import Gateway as GatewayRecord
from libs.rpc.convert import (
    INSTANCE_STATES_OUT,
    NODE_STATES_OUT,
    SERVICE_STATES_OUT,
    resources_to_proto,
    time_to_proto,
)
from services.scheduler.gateways.standing import standing
from services.scheduler.gpus.fences import active_fence
from services.scheduler.pool.machine import machine_of
from services.scheduler.rollout.situation import update_of
from services.scheduler.routes.gateways import Gateway
from services.scheduler.routes.in_force import facts_in_force
from services.scheduler.world import World

_LEAVING = (InstanceState.TERMINATING, InstanceState.LOST)


def service_told(world: World, service: Service, waiting: int) -> facts_pb2.ServiceFacts:
    """`waiting`: the requests that gateways hold for it."""
    facts = facts_in_force(world, service)
    told = facts_pb2.ServiceFacts(
        name=service.name,
        version=service.version,
        group=service.group,
        gateway=service.gateway,
        resource_group=service.resource_group,
        workspace=facts.workspace,
        state=SERVICE_STATES_OUT[service.state],
        wanted=0 if service.stopped or service.deleting else service.wanted,
        stopped=service.stopped,
        deleting=service.deleting,
        updating=update_of(service, world.rollouts.get(service.name)) is not None,
        resources=resources_to_proto(facts.resources),
        instances=[
            _instance_told(each) for each in sorted(world.instances_of(service.name), key=lambda i: i.id)
        ],
        waiting=waiting,
        custom_metrics=facts.custom_metrics,
        grpc=facts.grpc,
    )
    _add_policies(told, world)
    return told


def join_tokens_told(world: World) -> facts_pb2.JoinTokens:
    joining = (each.secret_sha256 for each in world.tokens.values() if each.role is TokenRole.JOIN)
    return facts_pb2.JoinTokens(sha256=sorted(joining))


def node_told(world: World, node: Node) -> facts_pb2.NodeFacts:
    group, machine = world.resource_groups.get(node.resource_group), machine_of(node.labels)
    return facts_pb2.NodeFacts(
        name=node.name,
        resource_group=node.resource_group,
        kind=group.kind if group is not None else PUBLIC_GROUP,
        state=NODE_STATES_OUT[node.state],
        schedulable=node.schedulable,
        draining=node.draining,
        capacity=resources_to_proto(_offer(node)),
        allocated=_held(world, node),
        fenced_gpus=sum(_fence(world, node, gpu.uuid) is not None for gpu in node.gpus),
        instance_type=machine.instance_type,
        spot=machine.spot,
    )


def gateway_told(name: str, record: GatewayRecord | None, links: Sequence[Gateway]) -> facts_pb2.GatewayFacts:
    """`links` are its connections; `behind` is that of the one that is furthest behind."""
    stands = standing(name, record, links)
    return facts_pb2.GatewayFacts(
        name=name,
        connected=stands.connected,
        envoys=stands.envoys,
        behind=max((link.behind for link in links), default=0),
        node=next((link.node for link in links), ""),
        why=stands.why,
    )


def _instance_told(instance: Instance) -> facts_pb2.InstanceFacts:
    return facts_pb2.InstanceFacts(
        id=instance.id,
        node=instance.node,
        state=INSTANCE_STATES_OUT[instance.state],
        ready=instance.serves,
        leaving=instance.state in _LEAVING or instance.detached,
        pool=instance.pool,
        instance_type=instance.instance_type,
        gpu_uuids=instance.gpu_uuids,
        restarts=instance.restarts,
        created_at=time_to_proto(instance.created_at),
        ready_at=time_to_proto(instance.ready_at),
        phases=[common_pb2.StartPhase(name=each.name, seconds=each.seconds) for each in instance.phases],
    )


def _add_policies(told: facts_pb2.ServiceFacts, world: World) -> None:
    if autoscaler := world.autoscalers.get(told.name):
        told.autoscaler_json, told.autoscaler_revision = autoscaler.policy_json, autoscaler.revision
        told.autoscaler_updated_at.FromDatetime(autoscaler.updated_at)
    if cronscaler := world.cronscalers.get(told.name):
        told.cronscaler_json, told.cronscaler_revision = cronscaler.policy_json, cronscaler.revision
        told.cronscaler_updated_at.FromDatetime(cronscaler.updated_at)
        told.cron_jobs.extend(_jobs_told(cronscaler))


def _jobs_told(cronscaler: Cronscaler) -> list[facts_pb2.CronJobState]:
    jobs = []
    for job in cronscaler.jobs:
        told = facts_pb2.CronJobState(name=job.name)
        if job.last_run_ms:
            told.last_run_at.FromMilliseconds(job.last_run_ms)
        jobs.append(told)
    return jobs


def _offer(node: Node) -> Resources:
    capacity = node.capacity
    return Resources(capacity.cpu_milli, capacity.memory_mib, capacity.disk_mib, len(node.gpus))


def _held(world: World, node: Node) -> common_pb2.Resources:
    held = common_pb2.Resources()
    for instance in world.instances_on(node.name):
        if instance.state is not InstanceState.LOST:
            held.cpu_milli += instance.resources.cpu_milli
            held.memory_mib += instance.resources.memory_mib
            held.disk_mib += instance.resources.disk_mib
            held.gpus += instance.resources.gpus
    return held


def _fence(world: World, node: Node, uuid: str) -> GpuFence | None:
    return active_fence(world.gpu_fences, node.name, uuid)
