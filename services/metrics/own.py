"""What metrics says of itself, in the same words as every other part."""

import asyncio
from collections.abc import Iterator
from uuid import uuid4

from libs.lifecycle import pause
from libs.telemetry.reporting import EVERY, of_process
from services.metrics.components import Sample
from services.metrics.envoy_stream import EnvoyStreams
from services.metrics.store import STALE_AFTER_S, Store


class OwnReport:
    """Reports every two seconds, without a connection to itself."""

    def __init__(self, store: Store, envoys: EnvoyStreams, name: str) -> None:
        self._store, self._envoys, self._name, self._life = store, envoys, name, uuid4().hex

    async def run(self, until: asyncio.Event) -> None:
        """Reports until stopped."""
        own = {"component": "metrics", "name": self._name}
        while not until.is_set():
            process = (Sample(each.name, each.labels, each.value) for each in of_process(own))
            samples = (*process, *self._samples())
            self._store.components.take("metrics", self._name, self._life, samples, self._store.now())
            await pause(until, EVERY)

    def _samples(self) -> Iterator[Sample]:
        store = self._store
        since = store.now() - STALE_AFTER_S
        sources = {
            "envoy": len(self._envoys),
            "node": int((store.nodes.heard > since).sum()),
            "component": len(store.components.heard(store.now())),
        }
        for kind, number in sources.items():
            yield Sample("easel_metrics_sources", {"kind": kind}, float(number))
        tables = (store.services, store.gateways, store.instances, store.nodes, store.gpus)
        series = sum(len(table) * len(table.columns) for table in tables)
        yield Sample("easel_metrics_series", {}, float(series + sum(1 for _ in store.custom.all())))
        yield Sample("easel_metrics_facts_connected", {}, float(store.facts.connected))
        yield Sample("easel_metrics_ingest_seconds", {}, self._envoys.spent_s + store.spent_s)
