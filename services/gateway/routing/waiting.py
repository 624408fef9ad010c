"""Which requests wait until an instance is ready, and what those are told that do not wait any longer."""

from collections.abc import Mapping

from services.gateway.routes import Group, Hold, Service

# Seconds after which it makes sense to ask again.
RETRY_AFTER = 5
# Of a request whose length is not known, as of most calls of gRPC.
UNKNOWN_LENGTH = 64 * 1024

GATEWAY_ENDS = "the gateway ends before an instance is ready: ask again"
GATEWAY_AWAY = (
    "the service has no ready instance, and the gateway process, with which requests wait for one, is away:"
    " ask again"
)


def waits(service: str, group: str, services: Mapping[str, Service], groups: Mapping[str, Group]) -> bool:
    """Whether a request is to wait; where not, it is to go on, whatever becomes of it then.

    In a `group` it goes on as soon as any member is ready.
    """
    known = services.get(service)
    if known is None or not known.holds:
        return False
    members = groups[group].leads_to if group in groups else frozenset[str]()
    return not any(services[name].is_ready for name in members if name in services)


def too_many(service: str, hold: Hold, requests: int, held: int, length: int) -> str:
    """Why a request may not wait beside `requests` of `held` bytes; empty where it may."""
    if requests >= hold.requests:
        return (
            f"{service} has no ready instance, and {requests} requests wait for one, as many as"
            f" autoscaler.behavior.onZero.holdRequests allows: ask again in {RETRY_AFTER} s, or raise it"
        )
    if held + length > hold.mib * 1024 * 1024:
        return (
            f"{service} has no ready instance, and the requests that wait for one hold {hold.mib} MiB, as"
            " much as autoscaler.behavior.onZero.holdMebibytes allows:"
            f" ask again in {RETRY_AFTER} s, or raise it"
        )
    return ""


def too_long(service: str, hold: Hold) -> str:
    """What a request is told that has waited as long as it may."""
    seconds = f"{hold.within.total_seconds():g}"
    return (
        f"{service} had no ready instance within {seconds} s (autoscaler.behavior.onZero.holdSeconds);"
        f" `easel desc {service}` says why"
    )


def waiting_rule(hold: Hold) -> str:
    """The bounds, for explanations."""
    return (
        f"autoscaler.behavior.onZero: 503 when {hold.requests} requests or {hold.mib} MiB of them wait"
        f" already, or after {hold.within.total_seconds():g} s"
    )
