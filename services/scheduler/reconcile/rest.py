"""Whether a service is at rest, so that a turn would change nothing of it. Pure.

Most services are, most of the time, and a turn over all of them must not cost what a plan for each does.
"""

from libs.domain.errors import InvalidSpec
from libs.domain.records import Instance, Service
from libs.domain.states import InstanceState, ServiceState
from services.scheduler.facts import facts_of
from services.scheduler.reconcile.state import all_ready, asleep
from services.scheduler.rollout.obsolete import predates_restart
from services.scheduler.rollout.situation import update_of
from services.scheduler.scaling.policies import may_sleep
from services.scheduler.world import World


def at_rest(world: World, service: Service) -> bool:
    """True only where all that is wanted is there, does its work and may stay; what is doubtful is not."""
    settled = service.state is ServiceState.RUNNING and service.stable_version == service.version
    if not settled or service.stopped or service.deleting:
        return False
    if update_of(service, world.rollouts.get(service.name)) is not None:
        return False
    if service.why == asleep(0):
        return _sleeps(world, service)
    if service.why != all_ready(service):
        return False
    instances = world.instances_of(service.name)
    count = 0
    for instance in instances:
        count += 1
        if not _stays(world, service, instance):
            return False
    return 0 < count == service.wanted and _can_be_read(world, service)


def _sleeps(world: World, service: Service) -> bool:
    gone = not service.wanted and not any(world.instances_of(service.name))
    return gone and may_sleep(world, service.name) and _can_be_read(world, service)


def _stays(world: World, service: Service, instance: Instance) -> bool:
    does_its_work = instance.state is InstanceState.RUNNING and instance.serves
    if not does_its_work or instance.version != service.version or instance.replace_why:
        return False
    node = world.nodes.get(instance.node)
    if node is None or node.draining or node.reclaim_at is not None or predates_restart(instance, service):
        return False
    fences = (world.gpu_fences.get((instance.node, uuid)) for uuid in instance.gpu_uuids)
    return all(fence is None or fence.lifted_at is not None for fence in fences)


def _can_be_read(world: World, service: Service) -> bool:
    try:
        facts_of(world.version(service.name, service.version).spec_json)
    except InvalidSpec:
        return False
    return True
