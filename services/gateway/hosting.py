"""Further gateways that a process runs beside its own, each with its own feed, Envoy and directory."""

import asyncio
import logging
import shutil
from collections.abc import Awaitable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Protocol

from libs.lifecycle import pause
from libs.rpc.addresses import host_and_port
from services.gateway.condition import Conditions
from services.gateway.envoy import process
from services.gateway.envoy.ports import taken
from services.gateway.envoy.process import Launch
from services.gateway.publisher import Publisher
from services.gateway.routes import HostedGateway
from services.gateway.settings import Settings

log = logging.getLogger(__name__)


class Run(Protocol):
    """Runs a gateway until `stop`, and says to `conditions` what does not work."""

    def __call__(
        self, settings: Settings, stop: asyncio.Event, *, conditions: Conditions
    ) -> Awaitable[None]: ...


_GLANCE = timedelta(seconds=1)
_AGAIN = timedelta(seconds=2)


@dataclass(frozen=True)
class _Running:
    """One that runs, and what it runs as."""

    settings: Settings
    stop: asyncio.Event
    task: "asyncio.Task[None]"
    conditions: Conditions


class Hosting:
    """Runs exactly the gateways that are asked for. One that fails is begun again and disturbs no other.

    A gateway that is not asked for any more drains its Envoy and takes its directory along. One that moves to
    another port or gets other workers gets another Envoy; while the other port is taken, it stays as it is.
    """

    def __init__(self, own: Settings, publisher: Publisher, run: Run) -> None:
        self._own, self._publisher, self._run = own, publisher, run
        self._directory = own.data_dir.resolve() / "gateways"
        self._running: dict[str, _Running] = {}

    async def run(self, until: asyncio.Event) -> None:
        """Compares every second, since a comparison costs nothing; at the end stops them all, in order."""
        while not until.is_set():
            await self._pass()
            await pause(until, _GLANCE)
        await asyncio.gather(*(self._end(name) for name in list(self._running)))

    async def _pass(self) -> None:
        if not self._publisher.sequence:
            return  # nothing is known yet, so nothing is unwanted either
        wanted = {
            each.name: hosted_settings(self._own, self._directory, each)
            for each in self._publisher.hosted
            if may_be_directory(each.name)
        }
        wanted |= {
            name: each.settings for name, each in self._running.items() if _stays(each, wanted.get(name))
        }
        changed = [
            self._leave(name) if _same_envoy(each.settings, wanted.get(name)) else self._end(name)
            for name, each in self._running.items()
            if wanted.get(name) != each.settings
        ]
        await asyncio.gather(*changed)
        for name in await asyncio.to_thread(_names_in, self._directory):
            if name not in wanted:
                await self._remove(name)
        for name, settings in wanted.items():
            if name not in self._running:
                self._begin(name, settings)

    def _begin(self, name: str, settings: Settings) -> None:
        stop, conditions = asyncio.Event(), Conditions()
        task = asyncio.create_task(self._keep_running(settings, stop, conditions))
        self._running[name] = _Running(settings, stop, task, conditions)
        log.info("running a further gateway", extra={"gateway": name, "listen": settings.listen})

    async def _keep_running(self, settings: Settings, stop: asyncio.Event, conditions: Conditions) -> None:
        while not stop.is_set():
            try:
                await self._run(settings, stop, conditions=conditions)
            except Exception:
                log.exception("a further gateway failed and is begun again", extra={"gateway": settings.name})
                await pause(stop, _AGAIN)

    async def _end(self, name: str) -> None:
        running = self._running.pop(name)
        running.stop.set()
        await asyncio.wait((running.task,))
        log.info("a further gateway ended", extra={"gateway": name})

    async def _leave(self, name: str) -> None:
        """Ends all but the Envoy, which goes on serving until it is adopted."""
        running = self._running.pop(name)
        running.task.cancel()
        await asyncio.wait((running.task,))

    async def _remove(self, name: str) -> None:
        """Also for one that an earlier process left behind with its Envoy running."""
        directory = self._directory / name
        launch = Launch(directory, "", 0)
        left = await asyncio.to_thread(process.recorded, launch)
        if left is not None and process.is_ours(left, launch):
            await process.stop(left, launch)
        await asyncio.to_thread(shutil.rmtree, directory, ignore_errors=True)


def hosted_settings(own: Settings, directory: Path, hosted: HostedGateway) -> Settings:
    """Those of the process, but for what is the gateway's own."""
    host = host_and_port(own.listen, "listen")[0]
    return own.model_copy(
        update={
            "name": hosted.name,
            "listen": f"[{host}]:{hosted.port}" if ":" in host else f"{host}:{hosted.port}",
            "public_url": hosted.public_url,
            "data_dir": directory / hosted.name,
            "envoy_concurrency": hosted.workers,
            "xds_listen": "",
            "front_listen": "",
            "envoy_admin": "",
            "direct_address": "",
            "access_log": None,
            "hosting": False,
        }
    )


def _stays(running: _Running, wanted: Settings | None) -> bool:
    """Whether it cannot go to the port that is asked for, and so keeps the one it has; it says why."""
    why = ""
    if wanted is not None and wanted.listen != running.settings.listen:
        why = taken(*host_and_port(wanted.listen, "listen"))
    before = host_and_port(running.settings.listen, "listen")[1]
    running.conditions.say("move", f"{why}; it stays at port {before}" if why else "")
    return bool(why)


def _same_envoy(before: Settings, after: Settings | None) -> bool:
    """Whether these settings differ by nothing that an Envoy is started with, or that its port depends on."""
    return after is not None and before.model_copy(update={"public_url": after.public_url}) == after


def may_be_directory(name: str) -> bool:
    """Whether the name is one inside a directory, and not a way out of it."""
    return bool(name) and not name.startswith(".") and "/" not in name and "\0" not in name


def _names_in(directory: Path) -> list[str]:
    return [each.name for each in directory.iterdir() if each.is_dir()] if directory.is_dir() else []
