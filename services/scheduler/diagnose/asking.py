"""Makes the picture, asks for the diagnosis, and fetches the lines that show it."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta

from libs.domain.errors import EaselError
from libs.domain.records import Instance
from services.scheduler.agents.sessions import Sessions
from services.scheduler.diagnose.diagnosis import diagnose_instance, diagnose_service, wants_log
from services.scheduler.diagnose.finding import Finding
from services.scheduler.diagnose.picture import Picture
from services.scheduler.gateways.standing import standing
from services.scheduler.live import Live
from services.scheduler.liveness.watch import NodeWatch
from services.scheduler.routes.gateways import Gateways
from services.scheduler.scaling.absence import Absence
from services.scheduler.secrets.hiding import without
from services.scheduler.world import World

_LINES = 10
_LINE_LENGTH = 500
_LOGS_WITHIN = 2.0


class Diagnoses:
    """Answers within a few seconds, also while agents are away: then without their logs."""

    def __init__(
        self,
        world: World,
        live: Live,
        gateways: Gateways,
        sessions: Sessions,
        watch: NodeWatch,
        autoscaler: Absence,
        clock: Callable[[], datetime],
        delete_idle_after: timedelta,
    ) -> None:
        self._world, self._live, self._gateways, self._sessions = world, live, gateways, sessions
        self._watch, self._autoscaler = watch, autoscaler
        self._clock, self._delete_idle_after = clock, delete_idle_after

    async def service(self, name: str) -> list[Finding]:
        """Raises NotFound."""
        return await self._shown(diagnose_service(self._picture(), self._world.service(name)))

    async def instance(self, instance_id: str) -> list[Finding]:
        """Raises NotFound."""
        return await self._shown(diagnose_instance(self._picture(), self._world.instance(instance_id)))

    def _picture(self) -> Picture:
        return Picture(
            world=self._world,
            live=self._live.of,
            lagging=lambda instance: self._gateways.unrouted(instance).lagging,
            linked=self._sessions.linked,
            gateway=lambda name: standing(name, self._world.gateways.get(name), self._gateways.named(name)),
            brake=self._watch.brake,
            autoscaler_away_since=self._autoscaler.since(),
            delete_idle_after=self._delete_idle_after,
            now=self._clock(),
        )

    async def _shown(self, findings: list[Finding]) -> list[Finding]:
        return list(await asyncio.gather(*(self._with_log(each) for each in findings)))

    async def _with_log(self, found: Finding) -> Finding:
        instance = self._world.instances.get(found.subject)
        if instance is None or not wants_log(found):
            return found
        return replace(found, evidence=await self._last_lines(instance))

    async def _last_lines(self, instance: Instance) -> tuple[str, ...]:
        """Whatever came in time; the values of secrets, which a program may print, are not shown."""
        read: list[bytes] = []
        hidden = {self._world.service(instance.service).token}
        with suppress(EaselError, TimeoutError):
            session = self._sessions.of(instance)
            hidden |= session.secrets_of(instance.id)
            async with asyncio.timeout(_LOGS_WITHIN):
                async for text in session.logs(instance.id, follow=False, tail=_LINES):
                    read.append(text)
        return last_lines(b"".join(read), hidden)


def last_lines(output: bytes, hidden: set[str]) -> tuple[str, ...]:
    """The last lines of an output that say something, without any of the values to hide. Pure."""
    text = without(output.decode(errors="replace"), hidden)
    lines = [line.rstrip()[:_LINE_LENGTH] for line in text.splitlines() if line.strip()]
    return tuple(lines[-_LINES:])
