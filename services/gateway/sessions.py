"""Keeps what opens the pages of web services as new as the clock."""

import asyncio
from datetime import timedelta

from libs.lifecycle import pause
from services.gateway.publisher import Publisher

# Far less than a session lasts, so that none is refused that should be good.
_LOOK_EVERY = timedelta(seconds=20)


class Sessions:
    """Has the routes of web services built anew when the period of their sessions changes."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher

    async def run(self, until: asyncio.Event) -> None:
        """Looks at the clock until stopped."""
        while not until.is_set():
            if self._publisher.is_out_of_date():
                await self._publisher.refresh()
            await pause(until, _LOOK_EVERY)
