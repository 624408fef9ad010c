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


def judge_drain(
    instance: Instance, facts: Facts, lagging: tuple[str, ...], ack_timeout: timedelta, now: datetime
) -> DrainVerdict:
    """`lagging` names the gateways that have not applied routes without this instance."""
    began = instance.drain_started_at or now
    if instance.ready_at is None:
        return DrainVerdict(True, "it never took traffic")
    waited = now - began
    if lagging and waited < ack_timeout:
        return DrainVerdict(False, f"waiting for {', '.join(lagging)} to route around it")
    under_way = min(facts.keepalive, facts.grace)
    if waited < under_way:
        return DrainVerdict(False, f"requests under way have {under_way.total_seconds():g} s to end")
    if lagging:
        return DrainVerdict(
            True,
            f"{', '.join(lagging)} did not answer for {ack_timeout.total_seconds():g} s; stopping anyway",
        )
    return DrainVerdict(True, "no gateway routes to it any more")
