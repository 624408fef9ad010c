"""The state of a service and its sentence, from its instances and its update. Pure."""

from collections.abc import Iterable

from libs.domain.records import Instance, Rollout, Service
from libs.domain.states import LIVE_STATES, TROUBLED_STATES, InstanceState, ServiceState
from services.scheduler.rollout.failing import not_ready
from services.scheduler.rollout.groups import is_apart, serving
from services.scheduler.rollout.obsolete import outdated
from services.scheduler.rollout.situation import update_of
from services.scheduler.rollout.staging import standing

# What an agent says of these tells what it is busy with, or what the program does wrong.
_STARTING = (
    InstanceState.PULLING,
    InstanceState.PREPARING,
    InstanceState.STARTING,
    InstanceState.WARMING_UP,
)
_SETTLED = (ServiceState.RUNNING, ServiceState.SCALING)


def service_state(
    service: Service, rollout: Rollout | None, instances: Iterable[Instance], sleeps: bool = False
) -> tuple[ServiceState, str]:
    """The state EAS would name, and why in one sentence. One that `sleeps` is in service without any
    instance: it answers, once one is there, and nobody has to start it."""
    remaining = [i for i in instances if i.state is not InstanceState.LOST]
    if service.deleting:
        return ServiceState.DELETING, _leaving(remaining)
    if sleeps and not service.wanted and not service.stopped:
        return ServiceState.RUNNING, asleep(sum(not i.detached for i in remaining))
    if service.stopped or not service.wanted:
        leaving = [i for i in remaining if not i.detached or i.state is InstanceState.TERMINATING]
        if leaving:
            return ServiceState.STOPPING, _leaving(leaving)
        how = "stopped" if service.stopped else "scaled to 0 instances"
        return ServiceState.STOPPED, f"{how}; its configuration is kept"
    live = [i for i in remaining if i.state in LIVE_STATES and not is_apart(i, service)]
    old = [i for i in live if outdated(i, service)]
    current = [i for i in live if not outdated(i, service)]
    update = update_of(service, rollout)
    if old or (update is not None and serving(current) and service.wanted > serving(current)):
        return ServiceState.UPDATING, _updating(service, update, current, old)
    return _settled(service, current)


def all_ready(service: Service) -> str:
    """The sentence of one that runs with nothing set aside."""
    return f"{service.wanted} of {service.wanted} instances ready"


def running_version(service: Service, instances: Iterable[Instance]) -> int:
    """The version that answers: the one in force where it does, else the newest that does; 0 for none."""
    answering = {i.version for i in instances if i.serves}
    return service.version if service.version in answering else max(answering, default=0)


def _settled(service: Service, current: list[Instance]) -> tuple[ServiceState, str]:
    """While no version or restart is under way."""
    ready, isolated = serving(current), sum(i.isolated for i in current)
    progress = _ready(service, current)
    missing = ready + isolated < service.wanted or (isolated and not ready)
    if not missing:
        return ServiceState.RUNNING, progress
    troubled = [i for i in current if i.state in TROUBLED_STATES and not i.isolated]
    if troubled and ready == 0:
        return ServiceState.FAILED, _first_why(troubled)
    pending = [i for i in current if i.state is InstanceState.PENDING]
    if waiting := pending or troubled:
        return ServiceState.WAITING, f"{progress}; {_first_why(waiting)}"
    if starting := [i for i in current if not i.ready and i.state in _STARTING and i.why]:
        progress = f"{progress}; {_first_why(starting)}"
    elif waited_for := not_ready(current):
        progress = f"{progress}; {waited_for}"
    if service.state in _SETTLED and ready:
        return ServiceState.SCALING, progress
    if service.state is ServiceState.CREATING:
        return ServiceState.CREATING, progress
    return ServiceState.WAITING, progress


def asleep(leaving: int) -> str:
    """The sentence of one that sleeps."""
    if not leaving:
        return "asleep: no instance until a request comes"
    going = "1 instance is" if leaving == 1 else f"{leaving} instances are"
    return f"asleep: no instance until a request comes; {going} still leaving"


def _leaving(remaining: list[Instance]) -> str:
    if len(remaining) == 1:
        return "1 instance is still leaving"
    return f"{len(remaining)} instances are still leaving"


def _updating(service: Service, update: Rollout | None, current: list[Instance], old: list[Instance]) -> str:
    remain = "1 old one remains" if len(old) == 1 else f"{len(old)} old ones remain"
    sentence = f"version {service.version}: {_ready(service, current)}, {remain}"
    troubled = [i for i in current if i.state in TROUBLED_STATES]
    if held_up := standing(update) if update is not None else "":
        return f"{sentence}; {held_up}"
    if troubled:
        return f"{sentence}; held up: {_first_why(troubled)}"
    waited_for = not_ready(current)
    return f"{sentence}; {waited_for}" if waited_for else sentence


def _ready(service: Service, current: list[Instance]) -> str:
    isolated = sum(i.isolated for i in current)
    # While one takes the place of another there may be more.
    ready = f"{min(serving(current), service.wanted)} of {service.wanted} instances ready"
    return f"{ready}, {isolated} isolated" if isolated else ready


def _first_why(instances: list[Instance]) -> str:
    first = min(instances, key=lambda i: i.id)
    return f"{first.id}: {first.why}" if first.why else f"{first.id} is {first.state.value}"
