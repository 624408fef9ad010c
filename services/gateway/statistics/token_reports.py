"""Which tokens were used lately, looked up once a minute where there is anything to look up."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

from easel.gateway.v1 import gateway_pb2 as pb
from libs.domain.errors import Unavailable
from libs.lifecycle import pause
from services.gateway.statistics.envoy_stats import Statistics
from services.gateway.statistics.reading import USE_COUNTERS, grown, token_uses

EVERY = timedelta(minutes=1)


class TokenReports:
    """Says which tokens let requests in since it last looked.

    `countable` has the ids of the tokens that Envoy counts, by what it counts them under.
    """

    def __init__(
        self,
        statistics: Statistics,
        tell: Callable[[pb.ConnectRequest], None],
        countable: Callable[[], Mapping[str, str]],
        every: timedelta = EVERY,
    ) -> None:
        self._statistics, self._tell, self._countable, self._every = statistics, tell, countable, every
        self._before: dict[str, int] = {}
        # What an adopted Envoy counted before the first look has been said, or is old.
        self._looked = False

    async def run(self, until: asyncio.Event) -> None:
        """Looks until stopped. An Envoy that cannot be asked is asked again the next time."""
        while not until.is_set():
            ids = self._countable()
            if ids:
                await self._look(ids)
            await pause(until, self._every)

    async def _look(self, ids: Mapping[str, str]) -> None:
        try:
            now = token_uses(await self._statistics.read(USE_COUNTERS))
        except Unavailable:
            return
        used = [ids[name] for name in grown(self._before, now) if name in ids] if self._looked else []
        self._before, self._looked = now, True
        if used:
            uses = pb.TokenUses()
            for token in used:
                uses.uses.add(token_id=token).at.FromDatetime(datetime.now(UTC))
            self._tell(pb.ConnectRequest(token_uses=uses))
