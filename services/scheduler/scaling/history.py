"""The event of a change of size, which is also its record in the history. Pure."""

from dataclasses import dataclass
from datetime import datetime

from libs.domain.records import Event, Service
from libs.domain.states import EventKind

REASON = "Scaled"
BY_HAND = "user"
POLICIES = ("horizontal", "burst", "zero", "timed", BY_HAND)


@dataclass(frozen=True)
class Cause:
    """What made a service change its size: a policy, its sentence, and the metric where one decided."""

    policy: str
    why: str
    metric: str = ""
    value: float = 0.0
    threshold: float = 0.0


def scaled(service: Service, after: int, cause: Cause, now: datetime) -> Event:
    """`service` as it was before."""
    details = {"policy": cause.policy, "before": str(service.wanted), "after": str(after)}
    if cause.metric:
        details |= {
            "metric": cause.metric,
            "value": f"{cause.value:.6g}",
            "threshold": f"{cause.threshold:.6g}",
        }
    return Event(
        now, EventKind.NORMAL, REASON, cause.why, "service", service.name, service.name, details=details
    )
