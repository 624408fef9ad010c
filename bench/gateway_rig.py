"""Parts that the gateway's benchmarks share: a gateway without a scheduler, a plain Envoy, a backend."""

import asyncio
import os
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
import yaml

from libs.lifecycle import pause
from services.gateway.ads.store import ResourceStore
from services.gateway.envoy import process
from services.gateway.envoy.admin import EnvoyAdmin
from services.gateway.key_pairs import KeyPairs
from services.gateway.publisher import Publisher
from services.gateway.routes import Update
from services.gateway.runtime import envoy_dial, serving_envoys
from services.gateway.settings import Settings
from services.gateway.surroundings import surroundings_of
from services.gateway.waiting.room import WaitingRoom
from services.gateway.xds.bootstrap import bootstrap

HCM = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
ROUTER = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"


@dataclass
class Rig:
    """A gateway in this process with one Envoy; `publish` is what the routes feed would do."""

    publisher: Publisher
    port: int
    envoy_pid: int
    generation: int = 0

    async def publish(self, update: Update) -> None:
        await self.publisher.publish(update)


@asynccontextmanager
async def gateway_rig(port: int, first: Update, **more: Any) -> AsyncIterator[Rig]:
    """Starts with `first` in force and `more` settings; ends Envoy with the block."""
    with tempfile.TemporaryDirectory(prefix="easel-bench-") as directory:
        settings = Settings(listen=f"127.0.0.1:{port}", data_dir=Path(directory), envoy_concurrency=1, **more)
        publisher = Publisher(
            ResourceStore(), surroundings_of(settings, KeyPairs(Path(directory) / "certificates.json"))
        )
        await publisher.publish(first)
        async with serving_envoys(settings, publisher, "", WaitingRoom(publisher)) as xds:
            dial = envoy_dial(settings, xds, "")
            launch = process.Launch(Path(directory), bootstrap(dial), 1)
            running = await asyncio.to_thread(process.start, launch)
            admin = EnvoyAdmin(dial.admin)
            try:
                pace = asyncio.Event()
                while await admin.listening() is None:
                    await pause(pace, timedelta(milliseconds=20))
                yield Rig(publisher, port, running.pid)
            finally:
                await process.stop(running, launch)


@contextmanager
def plain_envoy(config: dict[str, Any]) -> Iterator[int]:
    """Runs an Envoy with a hand-written configuration; yields its process id."""
    with tempfile.TemporaryDirectory(prefix="easel-bench-") as directory:
        file = Path(directory) / "envoy.yaml"
        file.write_text(yaml.safe_dump(config))
        command = [str(process.binary()), "-c", str(file), "--use-dynamic-base-id", "--concurrency", "1"]
        envoy = subprocess.Popen([*command, "--log-level", "error"])
        try:
            yield envoy.pid
        finally:
            envoy.terminate()
            envoy.wait(10)


def answering(port: int, body: str) -> dict[str, Any]:
    """A backend that costs next to nothing: an Envoy that answers by itself."""
    return _static(port, {"direct_response": {"status": 200, "body": {"inline_string": body}}}, [])


def forwarding(port: int, backend: int) -> dict[str, Any]:
    """The least that forwards: one route, one cluster, everything else as Envoy has it by default."""
    place = {"socket_address": {"address": "127.0.0.1", "port_value": backend}}
    cluster = {
        "name": "backend",
        "type": "STATIC",
        "load_assignment": {
            "cluster_name": "backend",
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": place}}]}],
        },
    }
    return _static(port, {"route": {"cluster": "backend"}}, [cluster])


def _static(port: int, action: dict[str, Any], clusters: list[dict[str, Any]]) -> dict[str, Any]:
    manager = {
        "@type": HCM,
        "stat_prefix": "plain",
        "route_config": {
            "virtual_hosts": [
                {"name": "all", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, **action}]}
            ]
        },
        "http_filters": [{"name": "envoy.filters.http.router", "typed_config": {"@type": ROUTER}}],
    }
    chain = {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
    address = {"socket_address": {"address": "127.0.0.1", "port_value": port}}
    listeners = [{"name": "plain", "address": address, "filter_chains": [chain]}]
    return {"static_resources": {"listeners": listeners, "clusters": clusters}}


def pin(pid: int, core: int) -> None:
    """Keeps every thread of a process on one core, where there is more than one."""
    if (os.cpu_count() or 1) < 2:
        return
    for thread in Path(f"/proc/{pid}/task").iterdir():
        os.sched_setaffinity(int(thread.name), {core})


def cpu_seconds(pid: int) -> float:
    """Processor time that a process has used."""
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system
