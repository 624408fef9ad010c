"""The one way to change anything: decide on the newest picture, commit, then tell everyone."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from libs.db.changes import Changes
from libs.db.store import Store
from libs.domain.errors import Conflict, FailedPrecondition, Unavailable
from services.scheduler.world import World, difference

log = logging.getLogger(__name__)

Decision = Callable[[World], Changes]
Listener = Callable[[Changes], None]
# What must be written beside what was decided, whoever decided it.
Amendment = Callable[[World, Changes], Changes]


@dataclass
class Work:
    """What was done since the start: how often, for how many seconds, and how often in vain."""

    times: int = 0
    seconds: float = 0.0
    failures: int = 0

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Counts what is done inside."""
        begun = time.monotonic()
        try:
            yield
        except Exception:
            self.failures += 1
            raise
        finally:
            self.times += 1
            self.seconds += time.monotonic() - begun


class Ledger:
    """Serialises writes, so that a decision is always committed against the picture it was made from.

    `fenced` is set when the database belongs to another scheduler by now: this one must end.
    """

    def __init__(
        self, store: Store, world: World, amend: Amendment = lambda _world, changes: changes
    ) -> None:
        self.world = world
        self._amend = amend
        self.fenced = asyncio.Event()
        self.commits = Work()
        self._store = store
        self._turn = asyncio.Lock()
        self._listeners: list[Listener] = []
        # Set after a commit of which nobody knows whether it was written.
        self._in_doubt = False

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """`listener` hears of each commit after the picture has it; it must not block.

        Call the result to leave.
        """
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    async def change(self, decide: Decision) -> Changes:
        """Commits what `decide` makes of the newest picture; nothing happens when it raises.

        Raises what `decide` raises, Unavailable while the database is away (what was decided may then have
        been written; the next call finds out first), and FailedPrecondition when another scheduler has it.
        """
        await self._turn.acquire()
        # From here on the turn ends with the work, not with the caller: one that gives up waiting must not
        # let the next decide on a picture that a commit under way is about to change.
        work = asyncio.ensure_future(self._carried_out(decide))
        work.add_done_callback(lambda _: self._turn.release())
        return await asyncio.shield(work)

    async def _carried_out(self, decide: Decision) -> Changes:
        if self._in_doubt:
            await self._catch_up()
        wanted = self._amend(self.world, decide(self.world))
        return await self._commit(wanted) if wanted else wanted

    async def _commit(self, wanted: Changes) -> Changes:
        try:
            with self.commits.counted():
                done = await self._store.commit(wanted)
        except (Unavailable, Conflict):
            self._in_doubt = True
            raise
        except FailedPrecondition:
            self.fenced.set()
            raise
        self._tell(done)
        for event in done.events:
            log.info(event.reason, extra={"subject": event.subject, "why": event.why})
        return done

    async def _catch_up(self) -> None:
        missed = difference(self.world, await self._store.load())
        self._in_doubt = False
        if missed:
            log.warning("the picture was behind the database", extra={"records": len(missed.put)})
            self._tell(missed)

    def _tell(self, done: Changes) -> None:
        self.world.apply(done)
        for listener in tuple(self._listeners):
            try:
                listener(done)
            except Exception:
                # It is committed: the others must hear of it, and the caller must not think it failed.
                log.exception("a listener failed; the others were told")
