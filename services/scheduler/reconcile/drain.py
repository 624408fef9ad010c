"""When an instance that left traffic may be stopped, or started anew. Pure.

Out of the routes first; then every gateway says that all its Envoys have applied routes without it; then its
agent is told. Requests under way are the agent's to wait for: it sees the connections to the instance's port,
and an Envoy that has dropped an endpoint keeps one open only while a request is in it.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from libs.domain.records import Instance

# A gateway answers within some milliseconds. What is waited for longer is worth a sentence.
WORTH_SAYING = timedelta(seconds=1)


@dataclass(frozen=True)
class DrainVerdict:
    """Whether it is out of traffic, and the sentence why or why not; `say` when people should read it."""

    out: bool
    why: str
    say: bool = False


@dataclass(frozen=True)
class Unrouted:
    """Which gateways may still route to an instance."""

    lagging: tuple[str, ...] = ()


def judge_drain(
    instance: Instance, unrouted: Unrouted, ack_timeout: timedelta, now: datetime
) -> DrainVerdict:
    """Waits for the gateways, and `ack_timeout` at most: one that is down must not hold it for ever."""
    waited = now - (instance.drain_started_at or instance.restart_asked_at or now)
    if instance.ready_at is None:
        return DrainVerdict(True, "it never took traffic")
    if not unrouted.lagging:
        return DrainVerdict(True, "no gateway routes to it any more", waited >= WORTH_SAYING)
    lagging, patience = ", ".join(unrouted.lagging), f"{ack_timeout.total_seconds():g} s"
    if waited < ack_timeout:
        why = f"waiting up to {patience} for {lagging} to say that no request is sent to it any more"
        return DrainVerdict(False, why, waited >= WORTH_SAYING)
    return DrainVerdict(True, f"{lagging} did not answer for {patience}; going on without it", True)
