"""The whole diagnosis: of a service with all its instances, or of one instance. Pure."""

from collections.abc import Iterable

from libs.domain.causes import Cause
from libs.domain.records import Instance, Service
from services.scheduler.diagnose.finding import Finding, Severity, in_order
from services.scheduler.diagnose.instances import of_instance
from services.scheduler.diagnose.nodes import of_node, of_scheduler
from services.scheduler.diagnose.picture import Picture
from services.scheduler.diagnose.services import of_service

# Where the output of the program says more than the agent can.
_LOGGED = frozenset(
    {
        Cause.EXITED,
        Cause.KILLED_BY_SIGNAL,
        Cause.OUT_OF_MEMORY,
        Cause.WRONG_PORT,
        Cause.LOOPBACK_ONLY,
        Cause.NOT_LISTENING,
        Cause.START_STALLED,
        Cause.STARTUP_PROBE_FAILED,
        Cause.LIVENESS_PROBE_FAILED,
        Cause.READINESS_PROBE_FAILED,
        Cause.WARM_UP_FAILED,
    }
)


def diagnose_service(picture: Picture, service: Service) -> list[Finding]:
    """Errors first; empty when nothing is wrong."""
    instances = sorted(picture.world.instances_of(service.name), key=lambda each: each.id)
    return in_order(
        (
            *of_service(picture, service),
            *(found for instance in instances for found in of_instance(picture, instance)),
            *_around(picture, instances),
        )
    )


def diagnose_instance(picture: Picture, instance: Instance) -> list[Finding]:
    """Errors first; empty when nothing is wrong."""
    return in_order((*of_instance(picture, instance), *_around(picture, [instance])))


def wants_log(found: Finding) -> bool:
    """Whether the last lines of the instance's output belong to it."""
    return found.severity > Severity.NOTE and found.cause in _LOGGED and not found.evidence


def _around(picture: Picture, instances: Iterable[Instance]) -> Iterable[Finding]:
    names = sorted({instance.node for instance in instances if instance.node})
    nodes = [picture.world.nodes[name] for name in names if name in picture.world.nodes]
    return (*of_scheduler(picture), *(found for node in nodes for found in of_node(picture, node)))
