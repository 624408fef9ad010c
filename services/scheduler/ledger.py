"""The one way to change anything: decide on the newest picture, commit, then tell everyone."""

import asyncio
import logging
from collections.abc import Callable

from libs.db.changes import Changes
from libs.db.store import Store
from services.scheduler.world import World

log = logging.getLogger(__name__)

Decision = Callable[[World], Changes]
Listener = Callable[[Changes], None]


class Ledger:
    """Serialises writes, so that a decision is always committed against the picture it was made from."""

    def __init__(self, store: Store, world: World) -> None:
        self.world = world
        self._store = store
        self._turn = asyncio.Lock()
        self._listeners: list[Listener] = []

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """`listener` hears of each commit after the picture has it; it must not block.

        Call the result to leave.
        """
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    async def change(self, decide: Decision) -> Changes:
        """Commits what `decide` makes of the newest picture; nothing happens when it raises.

        Raises what `decide` raises, and Conflict or Unavailable from the store (nothing is written then).
        """
        async with self._turn:
            wanted = decide(self.world)
            if not (wanted.put or wanted.delete or wanted.events):
                return wanted
            # A caller that gives up waiting must not leave a commit that the picture never learns of.
            return await asyncio.shield(self._commit(wanted))

    async def _commit(self, wanted: Changes) -> Changes:
        done = await self._store.commit(wanted)
        self.world.apply(done)
        for listener in tuple(self._listeners):
            listener(done)
        for event in done.events:
            log.info(event.reason, extra={"subject": event.subject, "why": event.why})
        return done
