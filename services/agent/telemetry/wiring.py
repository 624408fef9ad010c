"""The parts of the agent's telemetry, put together."""

import asyncio
import logging
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

import grpc

from libs.domain.errors import EaselError
from libs.rpc.client import dial
from libs.telemetry.reporting import Reporter, outage_of_metrics
from services.agent.gpu import Nvml
from services.agent.runtime.port import Runtime
from services.agent.settings import Settings
from services.agent.telemetry.address import kept_address
from services.agent.telemetry.entrance import Desk
from services.agent.telemetry.inlets import Inlets, Instances
from services.agent.telemetry.posted import Posted
from services.agent.telemetry.telling import Sampler, Telling

log = logging.getLogger(__name__)

_TOKEN_EVERY = 1.0


class Telemetry:
    """What there is to run, once it is known who knows the instances. Blocks shortly when it is made."""

    def __init__(self, settings: Settings, runtime: Runtime, nvml: Nvml) -> None:
        self._settings, self._runtime, self._nvml = settings, runtime, nvml
        self._posted, self._outage = Posted(), outage_of_metrics("agent")
        self._address = kept_address(settings.data_dir, settings.metrics_port, settings.metrics_host)

    async def url_of(self, instance: str) -> str:
        """Where this instance may post from wherever it runs; empty when that cannot be found out."""
        try:
            return self._address.url(instance, self._address.host or await self._runtime.node_address())
        except (EaselError, OSError) as refused:
            log.warning(
                "an instance is not told where to post", extra={"instance": instance, "why": str(refused)}
            )
            return ""

    def loops(self, instances: Instances, stop: asyncio.Event) -> list[Coroutine[Any, Any, None]]:
        settings, posted = self._settings, self._posted
        desk = Desk(instances.workload, posted)
        sampler = Sampler(
            settings.node, settings.data_dir, self._runtime, self._nvml, instances.running, posted
        )
        return [
            Inlets(self._address, self._runtime, instances, desk).run(),
            Telling(self._dial, sampler, self._outage).run(),
            self._report_itself(stop),
        ]

    async def _report_itself(self, stop: asyncio.Event) -> None:
        """As soon as there is a token, which another part may be about to write."""
        settings = self._settings
        while True:
            with suppress(OSError):
                token = settings.token()
                reporter = Reporter(settings.metrics, token, "agent", settings.node, outage=self._outage)
                await reporter.run(stop)
                return
            await asyncio.sleep(_TOKEN_EVERY)

    def _dial(self) -> grpc.aio.Channel:
        return dial(self._settings.metrics, self._settings.token())
