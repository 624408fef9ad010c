"""Images that are to be on this node before anything asks for them."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Protocol

from easel.agent.v1 import agent_pb2 as pb
from libs.domain.causes import Cause
from libs.domain.errors import EaselError
from libs.domain.progress import Progress
from libs.domain.states import InstanceState
from libs.rpc.convert import progress_to_proto
from services.agent.backing_off import back_off, due
from services.agent.reporting import Reporting
from services.agent.runtime.port import PullFailed, Told
from services.agent.stalling import Patience, while_it_moves

log = logging.getLogger(__name__)

_RESYNC = timedelta(seconds=10)
_SHORTEST = 0.005
USUAL = Patience()


@dataclass(frozen=True)
class Wish:
    """One image that somebody asked for. The login is not shown by repr."""

    id: str
    image: str
    login: tuple[str, str] | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Standing:
    """How far one wish is. `streak` counts the failures in a row, the newest at `failed_at`.

    Nothing more is done about one that is `over`.
    """

    why: str = ""
    done: bool = False
    failed: bool = False
    over: bool = False
    streak: int = 0
    failed_at: datetime | None = None
    progress: Progress | None = None


class Store(Protocol):
    """What has the images."""

    async def ensure_image(self, image: str, login: tuple[str, str] | None, told: Told) -> None: ...


def due_at(standing: Standing, now: datetime) -> datetime | None:
    """When a failed wish is tried again; None for one that has not failed."""
    if standing.failed_at is None:
        return None
    return due(standing.failed_at, back_off(standing.streak + 1), now)


def next_wish(wishes: Iterable[Wish], standings: Mapping[str, Standing], now: datetime) -> Wish | None:
    """The one to carry out now: those that never failed first, in the order they were asked for."""
    open_ones = [wish for wish in wishes if not standings.get(wish.id, Standing()).over]
    times = {wish.id: due_at(standings.get(wish.id, Standing()), now) for wish in open_ones}
    ready = [wish for wish in open_ones if (at := times[wish.id]) is None or at <= now]
    return min(ready, key=lambda wish: times[wish.id] is not None, default=None)


def utc_now() -> datetime:
    return datetime.now(UTC)


class ImageKeeper:
    """Pulls one image at a time, again after a failure, until nobody wants it any more."""

    def __init__(
        self, store: Store, patience: Patience = USUAL, clock: Callable[[], datetime] = utc_now
    ) -> None:
        self._store, self._patience, self._clock = store, patience, clock
        self._wishes: dict[str, Wish] = {}
        self._standings: dict[str, Standing] = {}
        self._changed: set[str] = set()
        self._wake, self._news = asyncio.Event(), asyncio.Event()
        self._current: tuple[str, asyncio.Task[None]] | None = None

    def want(self, wishes: Sequence[Wish]) -> None:
        """The full set from now on. What is not in it any more is not pulled to its end."""
        self._wishes = {wish.id: wish for wish in wishes}
        self._standings = {key: each for key, each in self._standings.items() if key in self._wishes}
        self._changed &= self._wishes.keys()
        if self._current is not None and self._current[0] not in self._wishes:
            self._current[1].cancel()
        self._wake.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self._wake.clear()
            now = self._clock()
            wish = next_wish(self._wishes.values(), self._standings, now)
            if wish is not None:
                await self._carry_out(wish)
                continue
            times = [at for each in self._standings.values() if (at := due_at(each, now)) and not each.over]
            wait = max((min(times, default=now + _RESYNC) - now).total_seconds(), _SHORTEST)
            with suppress(TimeoutError):
                async with asyncio.timeout(min(wait, _RESYNC.total_seconds())):
                    await self._wake.wait()

    def all(self) -> list[pb.ImagePullReport]:
        """Every wish, as a level; what changed before counts as told by it."""
        self._changed.clear()
        return [report_of(key, standing) for key, standing in self._standings.items()]

    async def changes(self) -> list[pb.ImagePullReport]:
        """Waits until something changed, and hands it out once."""
        while not self._changed:
            self._news.clear()
            await self._news.wait()
        changed, self._changed = self._changed, set()
        return [report_of(key, self._standings[key]) for key in sorted(changed) if key in self._standings]

    async def _carry_out(self, wish: Wish) -> None:
        pulling = asyncio.ensure_future(self._pull(wish))
        self._current = wish.id, pulling
        try:
            await asyncio.wait([pulling])
        finally:
            self._current = None
            pulling.cancel()
        if not pulling.cancelled():
            pulling.result()

    async def _pull(self, wish: Wish) -> None:
        before = self._standings.get(wish.id, Standing())
        pulling = replace(before, why=f"pulling {wish.image}", failed=False)

        def tell(state: InstanceState, why: str) -> None:
            self._put(wish.id, replace(pulling, why=why))

        def tell_progress(progress: Progress) -> None:
            self._put(wish.id, replace(pulling, progress=progress))

        phase = Reporting(tell, tell_progress)
        phase(InstanceState.PULLING, pulling.why)
        try:
            work = self._store.ensure_image(wish.image, wish.login, phase.progress)
            await while_it_moves(work, phase, self._patience)
        except (EaselError, OSError) as refused:
            self._put(wish.id, self._failed(refused, before.streak + 1))
            log.warning("an image was not pulled", extra={"image": wish.image, "why": str(refused)})
        else:
            self._put(wish.id, Standing(why=f"{wish.image} is on the node", done=True, over=True))
            log.info("an image is on the node", extra={"image": wish.image, "why": "it was asked for"})

    def _failed(self, refused: Exception, streak: int) -> Standing:
        if isinstance(refused, PullFailed) and refused.cause is Cause.NOT_ON_THIS_NODE:
            return Standing(str(refused), failed=True, over=True)
        delay = int(back_off(streak + 1).total_seconds())
        why = f"{refused}; trying again in {delay} s"
        return Standing(why, failed=True, streak=streak, failed_at=self._clock())

    def _put(self, key: str, standing: Standing) -> None:
        if key in self._wishes and self._standings.get(key) != standing:
            self._standings[key] = standing
            self._changed.add(key)
            self._news.set()


def wishes_of(desired: pb.DesiredState) -> list[Wish]:
    """The images that the scheduler wants on this node."""
    return [
        Wish(pull.id, pull.image, (pull.user, pull.password) if pull.user else None) for pull in desired.pulls
    ]


def report_of(key: str, standing: Standing) -> pb.ImagePullReport:
    """What the scheduler is told of one wish."""
    report = pb.ImagePullReport(id=key, done=standing.done, why=standing.why, failed=standing.failed)
    if standing.progress is not None:
        report.progress.CopyFrom(progress_to_proto(standing.progress))
    return report
