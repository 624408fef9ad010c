"""How long an instance that is one too many may end what is under way in it. Pure."""

from libs.domain.records import Instance, Node, Service
from libs.domain.states import InstanceState


def impatience(instance: Instance, service: Service, node: Node | None, sleeps: bool, last_call: bool) -> str:
    """Why an instance that leaves with patience has no more than its grace period from now on; empty while
    it may take its time. `sleeps`: the service is in service without any instance, too. `last_call`: its node
    will be gone when that period is over."""
    if not instance.leaves_patiently or instance.state is not InstanceState.TERMINATING:
        return ""
    if service.deleting:
        return "the service is being deleted"
    if service.stopped:
        return "the service is stopped"
    if not service.wanted and not sleeps:
        return "no instances are wanted"
    if node is None:
        return ""
    if last_call:
        return f"node {node.name} is taken away"
    return f"node {node.name} is drained" if node.draining else ""
