"""Drops what is no more: nothing is kept of what the scheduler removed, beyond what still tells of itself."""

from collections.abc import Callable

from services.metrics.store import STALE_AFTER_S, Store
from services.metrics.tables import Table
from services.metrics.totals import Key

# While the scheduler has told nothing yet, what nobody tells of is kept for as long as windows are.
_UNKNOWN_KEPT_S = 3600.0
_COMPONENTS_KEPT_S = 3600.0
# A version that no Envoy has told of at so many looks is not in use: about an hour, far longer than an Envoy
# that is restarted stays away.
_LOOKS = 1800


def forget_what_is_gone(store: Store) -> None:
    """Safe to call at any time; called every few seconds."""
    facts, now = store.facts, store.now()
    for service in _gone(store, store.services, lambda name: name in facts.services):
        store.forget_service(service)
    for service in _gone_meanwhile(store):
        store.forget_service(service)
    former = _former_versions(store)
    if former:
        store.totals.forget(former.__contains__)
    for instance in _gone(store, store.instances, lambda name: name in facts.instances):
        store.instances.forget(instance)
        store.custom.forget(instance)
    for node in _gone(store, store.nodes, lambda name: name in facts.nodes):
        store.nodes.forget(node)
    for gpu in _gone(store, store.gpus, lambda uuid: _node_of(store, uuid) in facts.nodes):
        store.gpus.forget(gpu)
        store.gpu_states.pop(gpu, None)
    for gateway in _gone(store, store.gateways, lambda name: name in facts.gateways):
        store.forget_gateway(gateway)
    store.components.forget_before(now - _COMPONENTS_KEPT_S)
    store.custom.forget_before(now - _COMPONENTS_KEPT_S)


def _gone(store: Store, table: Table, there: Callable[[str], bool]) -> list[str]:
    """What nobody tells of, and the scheduler does not know of either."""
    known = store.facts.known
    silent_since = store.now() - (STALE_AFTER_S if known else _UNKNOWN_KEPT_S)
    return [
        key
        for row, key in enumerate(table.keys)
        if key and table.heard[row] < silent_since and not (known and there(key))
    ]


def _gone_meanwhile(store: Store) -> set[str]:
    """Services of which there are totals from before the start, and that were removed by then."""
    if not store.facts.known:
        return set()
    counted = {key.service for key, _ in store.totals.items()} | set(store.durations.rows)
    return {
        name for name in counted if name and name not in store.facts.services and name not in store.services
    }


def _former_versions(store: Store) -> set[Key]:
    """What is counted of versions that were replaced long ago: each update would leave some for ever."""
    services = store.facts.services
    clusters = [key for key in store.totals.silent(_LOOKS) if key.kind == "cluster"]
    return {
        key
        for key in clusters
        if key.service in services and key.name != f"{key.service}/{services[key.service].version}"
    }


def _node_of(store: Store, uuid: str) -> str:
    state = store.gpu_states.get(uuid)
    return state.node if state is not None else ""
