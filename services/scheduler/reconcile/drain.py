"""When an instance that left traffic may be stopped. Pure.

Out of the routes first; then every gateway says that all its Envoys have applied routes without it; then
requests that were under way get the time one request may take; only then is its agent told to stop it.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from libs.domain.records import Instance
from services.scheduler.facts import Facts


@dataclass(frozen=True)
class DrainVerdict:
    """Whether to stop it now, and the sentence why or why not."""

    stop: bool
    why: str


@dataclass(frozen=True)
class Unrouted:
    """Which gateways may still route to an instance, and when the last of the others stopped to."""

    lagging: tuple[str, ...] = ()
    since: datetime | None = None


def judge_drain(
    instance: Instance, facts: Facts, unrouted: Unrouted, ack_timeout: timedelta, now: datetime
) -> DrainVerdict:
    """Waits `ack_timeout` at most for gateways, and then as long as one request may take."""
    began = instance.drain_started_at or now
    if instance.ready_at is None:
        return DrainVerdict(True, "it never took traffic")
    lagging = ", ".join(unrouted.lagging)
    if lagging and now - began < ack_timeout:
        return DrainVerdict(False, f"waiting for {lagging} to route around it")
    under_way = _longest_request(facts)
    last_request = began if lagging else max(began, unrouted.since or began)
    if now - last_request < under_way:
        return DrainVerdict(False, f"requests under way have {under_way.total_seconds():g} s to end")
    if lagging:
        patience = ack_timeout.total_seconds()
        return DrainVerdict(True, f"{lagging} did not answer for {patience:g} s; stopping anyway")
    return DrainVerdict(True, "no gateway routes to it any more")


def _longest_request(facts: Facts) -> timedelta:
    """The keepalive bounds no gRPC call, so that those have the whole grace period."""
    return facts.grace if facts.grpc else min(facts.keepalive, facts.grace)
