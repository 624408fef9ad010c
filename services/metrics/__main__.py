"""Metrics: what Envoys, agents and every part tell; for queries, for Prometheus, for the autoscaler."""

import asyncio
from contextlib import AsyncExitStack
from datetime import timedelta
from functools import partial

from easel.metrics.v1 import metrics_pb2_grpc as rpc
from libs.lifecycle import pause, run_until_asked
from libs.rpc.interceptors import guards
from libs.rpc.server import Service, serving
from libs.settings import settings_of
from libs.telemetry import logs
from services.metrics.callers import known_to
from services.metrics.envoy_stream import ENVOY_SERVICE, EnvoyStreams
from services.metrics.following import Following
from services.metrics.history import History
from services.metrics.http import serving_http
from services.metrics.keeping import Keeping
from services.metrics.metrics_servicer import MetricsServicer
from services.metrics.own import OwnReport
from services.metrics.recording import Recording
from services.metrics.samples import Samples
from services.metrics.settings import Settings
from services.metrics.store import Store
from services.metrics.telemetry_servicer import TelemetryServicer

_MINUTES_OF_A_DAY = 24 * 60
QUERIES, TELEMETRY = "easel.metrics.v1.MetricsService", "easel.metrics.v1.TelemetryService"


async def run(settings: Settings, stop: asyncio.Event, ready: asyncio.Event | None = None) -> None:
    """Serves until `stop`; sets `ready` when numbers are taken and calls are answered."""
    token = settings.token()
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    store = Store()
    samples, envoys = Samples(store), EnvoyStreams(store)
    keeping = Keeping(store, envoys, settings.data_dir / "totals.npz")
    keeping.restore()
    history = History(settings.data_dir / "history.sqlite", round(settings.history_days * _MINUTES_OF_A_DAY))
    async with AsyncExitStack() as owned:
        # Once nothing is taken in any longer, what was taken is kept.
        owned.push_async_callback(keeping.keep)
        contracts = _contracts(store, samples, envoys, history, stop)
        role_of = known_to(store.facts, token)
        for address in settings.addresses:
            asked = guards(address, [each.name for each in contracts], role_of)
            await owned.enter_async_context(
                serving(contracts, address, drain_for=timedelta(0), interceptors=asked)
            )
        await owned.enter_async_context(serving_http(store, envoys, settings.http_listen))
        async with asyncio.TaskGroup() as loops:
            loops.create_task(Following(store, settings.scheduler, token).run(until=stop))
            loops.create_task(keeping.run(until=stop))
            loops.create_task(OwnReport(store, envoys, settings.name).run(until=stop))
            loops.create_task(_sampling(samples, stop))
            loops.create_task(Recording(store, samples, history).run(until=stop))
            if ready is not None:
                ready.set()
            await stop.wait()


async def _sampling(samples: Samples, stop: asyncio.Event) -> None:
    while not stop.is_set():
        samples.take()
        await pause(stop, timedelta(seconds=1))


def _contracts(
    store: Store, samples: Samples, envoys: EnvoyStreams, history: History, stop: asyncio.Event
) -> list[Service]:
    telemetry = TelemetryServicer(store)
    queries = MetricsServicer(store, samples, history, stop)
    return [
        Service(ENVOY_SERVICE, envoys.register),
        Service(TELEMETRY, partial(rpc.add_TelemetryServiceServicer_to_server, telemetry)),
        Service(QUERIES, partial(rpc.add_MetricsServiceServicer_to_server, queries)),
    ]


def main() -> None:
    settings = settings_of(Settings, "metrics")
    logs.configure(settings.log_level)
    run_until_asked(partial(run, settings))


if __name__ == "__main__":
    main()
