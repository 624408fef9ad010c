"""Brings what an Envoy counted into the windows of services and gateways."""

import numpy as np
from numpy.typing import NDArray

from services.metrics import totals
from services.metrics.envoy_names import BESIDE, UNDER_WAY
from services.metrics.envoy_source import Settled
from services.metrics.rings import Floats
from services.metrics.store import Store

# Which counters of a cluster make which column of a service.
_OF_A_CLUSTER = {
    "requests": (totals.REQUESTS,),
    "answered": (totals.ANSWERED,),
    "status_2xx": (totals.STATUS_2XX,),
    "status_3xx": (totals.STATUS_3XX,),
    "status_4xx": (totals.STATUS_4XX,),
    "status_5xx": (totals.STATUS_5XX,),
    "grpc_failed": (totals.GRPC_FAILED,),
    "refused": (totals.OVERFLOWED, totals.TIMED_OUT),
    "bytes_in": (totals.BYTES_IN,),
    "bytes_out": (totals.BYTES_OUT,),
}


def file(store: Store, gateway: str, settled: Settled) -> None:
    """Adds one second of an Envoy of `gateway` to the windows; what was told of is covered, silence is 0."""
    span = settled.end - settled.begin
    if span <= 0:
        return
    here = _of_interest(store, settled)
    clusters = [n for n in here if settled.keys[n].kind == "cluster"]
    refusals = [n for n in here if settled.keys[n].kind == "refused"]
    own = [n for n, key in enumerate(settled.keys) if key.kind == "gateway"]
    _file_services(store, settled, clusters, refusals, span)
    _file_durations(store, settled)
    _file_gateway(store, gateway, settled, own, span)
    _cover(store, gateway, settled)


def _of_interest(store: Store, settled: Settled) -> list[int]:
    """All but what stands still of services that are no more: an Envoy tells of some of them for ever."""
    moving = set(np.flatnonzero(np.hstack((settled.grown, settled.gauges)).any(axis=1)).tolist())
    return [n for n, key in enumerate(settled.keys) if n in moving or key.service in store.services]


def _file_services(
    store: Store, settled: Settled, clusters: list[int], refusals: list[int], span: float
) -> None:
    table = store.services
    if not clusters and not refusals:
        return
    of_clusters = table.rows([settled.keys[n].service for n in clusters])
    of_refusals = table.rows([settled.keys[n].service for n in refusals])
    amounts = np.zeros((len(table.columns), len(table.keys)))

    def add(column: str, rows: NDArray[np.intp], values: Floats) -> None:
        amounts[table.column(column)] += np.bincount(rows, weights=values, minlength=len(table.keys))

    for column, counters in _OF_A_CLUSTER.items():
        for counter in counters:
            add(column, of_clusters, settled.grown[clusters, counter])
    in_flight = settled.gauges[clusters, UNDER_WAY] + settled.gauges[clusters, BESIDE]
    add("in_flight", of_clusters, in_flight * span)
    for column in ("refused", "answered"):
        add(column, of_refusals, settled.grown[refusals, totals.REFUSED])
    for n, row in zip(refusals, of_refusals, strict=True):
        column = class_of(settled.keys[n].why)
        amounts[table.column(column), row] += settled.grown[n, totals.REFUSED]
    table.spread(slice(0, len(table.keys)), amounts, settled.begin, settled.end)


def class_of(why: str) -> str:
    """The column of the class of what the gateway refused: "rate_limit.status.429.grpc..flags.RL" is a 4xx.

    A refusal in the words of gRPC has the status 200, and its class is that of the reason.
    """
    status = why.partition(".status.")[2][:1]
    if status in ("4", "5"):
        return f"status_{status}xx"
    return "status_5xx" if why.startswith("waiting") else "status_4xx"


def _file_durations(store: Store, settled: Settled) -> None:
    if not settled.services:
        return
    rows = store.services.rows(settled.services)
    store.latency.make_room(len(store.services.keys))
    distinct, which = np.unique(rows, return_inverse=True)
    summed = np.zeros((len(distinct), settled.histograms.shape[1]))
    np.add.at(summed, which, settled.histograms)
    # Envoy tells them of the time since its last message, also after metrics was away for longer.
    store.latency.add(distinct, summed.T, max(settled.begin, settled.end - 1.0), settled.end)
    store.durations.add(settled.services, settled.histograms)


def _file_gateway(store: Store, gateway: str, settled: Settled, own: list[int], span: float) -> None:
    table = store.gateways
    row = table.rows([gateway])
    amounts = np.zeros((len(table.columns), 1))
    for n in own:
        amounts[:, 0] += (
            settled.grown[n, totals.CAME_IN],
            settled.grown[n, totals.CAME_5XX],
            settled.gauges[n, UNDER_WAY] * span,
            settled.gauges[n, BESIDE] * span,
        )
    table.spread(row, amounts, settled.begin, settled.end)


def _cover(store: Store, gateway: str, settled: Settled) -> None:
    """Several Envoys of a gateway tell of the same time: what one has covered is covered."""
    row = store.gateways.row(gateway)
    begin = max(settled.begin, float(store.gateways.heard[row]))
    if begin >= settled.end:
        return
    store.gateways.cover(np.array([row]), begin, settled.end)
    services = store.services
    at_home = [services.row(name) for name in store.services_of(gateway)]
    counted = [key.service for key in settled.keys if key.kind == "cluster"]
    unknown = [services.row(name) for name in counted if not store.facts.known]
    rows = np.unique(np.array([*at_home, *unknown], dtype=np.intp))
    services.cover(rows, begin, settled.end)
    waiting = np.zeros((len(services.columns), len(rows)))
    for n, service in enumerate(services.keys[row] for row in rows):
        told = store.facts.services.get(service)
        waiting[services.column("waiting"), n] = told.waiting * (settled.end - begin) if told else 0
    services.spread(rows, waiting, begin, settled.end)
