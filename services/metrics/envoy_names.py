"""What the names mean under which Envoy counts. Pure."""

from dataclasses import dataclass
from enum import IntEnum

from services.metrics import totals


class Kind(IntEnum):
    """How a number is read."""

    COUNTER = 0
    GAUGE = 1
    HISTOGRAM = 2
    UPTIME = 3


@dataclass(frozen=True)
class Meaning:
    """One number: of which block (kind, name, why), and its place among the counters or gauges of it."""

    kind: Kind
    block: tuple[str, str, str] = ("gateway", "", "")
    place: int = 0


# Two gauges a block: what is under way, and what comes beside it.
UNDER_WAY, BESIDE = range(2)
_COUNTERS = {
    "upstream_rq_total": totals.REQUESTS,
    "upstream_rq_completed": totals.ANSWERED,
    "upstream_rq_2xx": totals.STATUS_2XX,
    "upstream_rq_3xx": totals.STATUS_3XX,
    "upstream_rq_4xx": totals.STATUS_4XX,
    "upstream_rq_5xx": totals.STATUS_5XX,
    "upstream_rq_active_overflow": totals.OVERFLOWED,
    "upstream_rq_per_try_timeout": totals.TIMED_OUT,
    "grpc.success": totals.GRPC_OK,
    "grpc.failure": totals.GRPC_FAILED,
    "upstream_cx_tx_bytes_total": totals.BYTES_IN,
    "upstream_cx_rx_bytes_total": totals.BYTES_OUT,
}
# Requests that have a connection, and those that wait for one.
_GAUGES = {"upstream_rq_active": UNDER_WAY, "upstream_rq_pending_active": BESIDE}
_OF_THE_GATEWAY = {
    "http.easel.downstream_rq_total": Meaning(Kind.COUNTER, place=totals.CAME_IN),
    "http.easel.downstream_rq_5xx": Meaning(Kind.COUNTER, place=totals.CAME_5XX),
    "http.easel.downstream_rq_active": Meaning(Kind.GAUGE, place=UNDER_WAY),
    "http.easel.downstream_cx_active": Meaning(Kind.GAUGE, place=BESIDE),
    "server.uptime": Meaning(Kind.UPTIME),
}
# Why a request was refused before it came to a cluster, by the flag that Envoy gives it.
_FLAGS = {"RL": "rate_limit", "UAEX": "waiting"}
_REFUSED = "easel.refused.service."


def meaning(name: str) -> Meaning | None:
    """What is counted under a name; None for what is of no interest here."""
    if name.startswith("cluster."):
        return _of_a_cluster(name)
    if name.startswith(_REFUSED):
        return _refused(name)
    return _OF_THE_GATEWAY.get(name)


def _of_a_cluster(name: str) -> Meaning | None:
    _, cluster, what = name.split(".", 2)
    service, _, version = cluster.rpartition("/")
    if not service or not version.isdigit():
        return None
    block = ("cluster", cluster, "")
    if what == "upstream_rq_time":
        return Meaning(Kind.HISTOGRAM, block)
    if what in _COUNTERS:
        return Meaning(Kind.COUNTER, block, _COUNTERS[what])
    if what in _GAUGES:
        return Meaning(Kind.GAUGE, block, _GAUGES[what])
    return None


def _refused(name: str) -> Meaning | None:
    """`easel.refused.service.S.status.N.grpc.G.flags.F`: each is a counter of its own."""
    service, _, rest = name.removeprefix(_REFUSED).partition(".")
    _, _, flags = rest.rpartition(".flags.")
    for flag, reason in _FLAGS.items():
        if service and flag in flags.split(","):
            return Meaning(Kind.COUNTER, ("refused", service, f"{reason}.{rest}"), totals.REFUSED)
    return None
