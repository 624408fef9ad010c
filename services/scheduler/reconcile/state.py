"""The state of a service and its sentence, from its instances. Pure."""

from collections.abc import Iterable

from libs.domain.records import Instance, Service
from libs.domain.states import LIVE_STATES, TROUBLED_STATES, InstanceState, ServiceState
from services.scheduler.reconcile.plan import predates_restart

# What an agent says of these tells what it is busy with, or what the program does wrong.
_STARTING = (InstanceState.PULLING, InstanceState.PREPARING, InstanceState.STARTING)
_SETTLED = (ServiceState.RUNNING, ServiceState.SCALING)


def service_state(service: Service, instances: Iterable[Instance]) -> tuple[ServiceState, str]:
    """The state EAS would name, and why in one sentence."""
    remaining = [i for i in instances if i.state is not InstanceState.LOST]
    if service.deleting:
        return ServiceState.DELETING, _leaving(remaining)
    if service.stopped:
        if remaining:
            return ServiceState.STOPPING, _leaving(remaining)
        return ServiceState.STOPPED, "stopped; its configuration is kept"
    live = [i for i in remaining if i.state in LIVE_STATES]
    old = [i for i in live if i.version != service.version or predates_restart(i, service)]
    current = [i for i in live if i not in old]
    ready = sum(i.ready for i in current)
    if ready >= service.wanted and not old and len(current) == service.wanted:
        return ServiceState.RUNNING, f"{ready} of {service.wanted} instances ready"
    troubled = [i for i in current if i.state in TROUBLED_STATES]
    if old:
        return ServiceState.UPDATING, _updating(service, current, old, troubled)
    if troubled and ready == 0:
        return ServiceState.FAILED, _first_why(troubled)
    pending = [i for i in current if i.state is InstanceState.PENDING]
    progress = f"{ready} of {service.wanted} instances ready"
    if pending:
        return ServiceState.WAITING, f"{progress}; {_first_why(pending)}"
    if troubled:
        return ServiceState.WAITING, f"{progress}; {_first_why(troubled)}"
    if starting := [i for i in current if not i.ready and i.state in _STARTING and i.why]:
        progress = f"{progress}; {_first_why(starting)}"
    if service.state in _SETTLED and ready:
        return ServiceState.SCALING, progress
    if service.state is ServiceState.CREATING:
        return ServiceState.CREATING, progress
    return ServiceState.WAITING, progress


def _leaving(remaining: list[Instance]) -> str:
    if len(remaining) == 1:
        return "1 instance is still leaving"
    return f"{len(remaining)} instances are still leaving"


def _updating(
    service: Service, current: list[Instance], old: list[Instance], troubled: list[Instance]
) -> str:
    ready = sum(i.ready for i in current)
    sentence = (
        f"version {service.version}: {ready} of {service.wanted} instances ready, {len(old)} old ones remain"
    )
    return f"{sentence}; paused: {_first_why(troubled)}" if troubled else sentence


def _first_why(instances: list[Instance]) -> str:
    first = min(instances, key=lambda i: i.id)
    return f"{first.id}: {first.why}" if first.why else f"{first.id} is {first.state.value}"
