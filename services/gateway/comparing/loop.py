"""Records some requests of compared services, puts them to their targets, and tells what came back."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from easel.gateway.v1 import gateway_pb2 as pb
from libs.domain.errors import Unavailable
from libs.lifecycle import pause
from services.gateway.comparing.compare import compared
from services.gateway.comparing.findings import Findings
from services.gateway.comparing.sample import Sample, asked_again
from services.gateway.publisher import Publisher
from services.gateway.routes import Mirror, Service
from services.gateway.xds.samples import compared_with

if TYPE_CHECKING:
    # What these load, a start does not wait for.
    from services.gateway.comparing.recorder import Recorder
    from services.gateway.comparing.replay import Replayer

log = logging.getLogger(__name__)

# Requests that are recorded in a second, and those to targets that are under way at a time.
MOST_A_SECOND = 5
MOST_UNDER_WAY = 40
_SECOND = timedelta(seconds=1)


class Comparing:
    """Costs nothing while no service asks for it: Envoy is not asked, and records nothing.

    A target that hangs holds up what is recorded, and nothing else.
    """

    def __init__(self, publisher: Publisher, admin: str, say: Callable[[pb.ConnectRequest], None]) -> None:
        self._publisher, self._admin, self._say = publisher, admin, say
        self._findings = Findings(partial(datetime.now, UTC))
        self._services: list[Service] = []
        self._known_as_of = -1
        self._under_way: set[asyncio.Task[None]] = set()
        self._silent = False

    async def run(self, until: asyncio.Event) -> None:
        """Until stopped; requests under way are then given up."""
        async with AsyncExitStack() as owned:
            tools: tuple[Recorder, Replayer] | None = None
            loop = asyncio.get_running_loop()
            try:
                while not until.is_set():
                    ends = loop.time() + _SECOND.total_seconds()
                    self._look()
                    if self._services:
                        tools = tools or await self._tools(owned)
                        await self._pass(*tools)
                    if self._findings.changed:
                        self._say(self._findings.report())
                    await pause(until, timedelta(seconds=max(ends - loop.time(), 0.01)))
            finally:
                for task in self._under_way:
                    task.cancel()
                await asyncio.gather(*self._under_way, return_exceptions=True)

    async def _tools(self, owned: AsyncExitStack) -> "tuple[Recorder, Replayer]":
        from services.gateway.comparing.recorder import recording
        from services.gateway.comparing.replay import replaying

        recorder = await owned.enter_async_context(recording(self._admin))
        return recorder, await owned.enter_async_context(replaying())

    def _look(self) -> None:
        """Finds the services whose answers are compared, where anything has changed."""
        if self._known_as_of == self._publisher.sequence:
            return
        self._known_as_of = self._publisher.sequence
        # To instances that want TLS of their callers requests are not put again.
        asked = [] if self._publisher.settings.upstream_ca else self._publisher.services.values()
        self._services = [service for service in asked if compared_with(service)]
        self._findings.keep(
            {(service.name, each.service) for service in self._services for each in compared_with(service)}
        )

    async def _pass(self, recorder: "Recorder", replayer: "Replayer") -> None:
        if len(self._under_way) >= MOST_UNDER_WAY:
            return
        try:
            samples = await recorder.recorded(MOST_A_SECOND, _SECOND)
        except Unavailable as why:
            if not self._silent:
                log.warning("no answers are compared for now", extra={"why": str(why)})
            self._silent = True
            return
        self._silent = False
        by_instance = {
            (each.address, each.port): service
            for service in self._services
            for backend in service.backends
            for each in backend.endpoints
        }
        for sample in samples:
            service = by_instance.get(sample.instance)
            if service is None:
                continue
            for mirror in compared_with(service):
                task = asyncio.create_task(self._compare(replayer, service, mirror, sample))
                self._under_way.add(task)
                task.add_done_callback(self._under_way.discard)

    async def _compare(self, replayer: "Replayer", service: Service, mirror: Mirror, sample: Sample) -> None:
        question = asked_again(sample, service.name, service.keep_path, mirror)
        answer = await replayer.answer(question, mirror)
        if answer is None:
            self._findings.unanswered(service.name, mirror.service)
            return
        how = await asyncio.to_thread(compared, sample.answer, answer)
        self._findings.pair(service.name, mirror.service, sample, answer, how)
