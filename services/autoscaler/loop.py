"""The loop of the autoscaler: looks at services, asks the policies, has their decisions carried out."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import timedelta

from libs.domain.errors import Conflict, EaselError
from libs.lifecycle import wait_until_any
from services.autoscaler.board import Board
from services.autoscaler.facts import Facts, Subject
from services.autoscaler.observing import Key, Numbers, observed
from services.autoscaler.policies.decide import decide
from services.autoscaler.policies.model import Decision, State

log = logging.getLogger(__name__)

Apply = Callable[[Subject, Decision], Awaitable[int]]

# A decision that was refused is made again after this; one that was overtaken, when the facts have caught up.
_AGAIN_S = 1.0
_OVERTAKEN_S = 0.1
_BROKEN_S = 30.0


class Autoscaling:
    """Keeps every service at the size that its policies ask for. Remembers windows in memory only."""

    def __init__(
        self,
        facts: Facts,
        numbers: Numbers,
        apply: Apply,
        board: Board,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._facts, self._numbers, self._apply, self._board = facts, numbers, apply, board
        self._clock = clock
        self._states: dict[str, State] = {}
        self._carried_out: dict[str, asyncio.Task[None]] = {}
        self._not_before: dict[str, float] = {}
        self._batch, self._wake = asyncio.Event(), asyncio.Event()
        facts.on_change(self._wake.set)

    def batch_came(self) -> None:
        """To be called when there are new numbers: all services are looked at."""
        self._batch.set()

    async def run(self, until: asyncio.Event, every: timedelta) -> None:
        """Looks at all services with each batch, and at least `every` so often; at one when it changes."""
        whole_at = 0.0
        while not until.is_set():
            left = every.total_seconds() - (time.monotonic() - whole_at)
            await wait_until_any(timedelta(seconds=max(0.0, left)), self._wake, self._batch, until)
            self._wake.clear()
            touched = self._facts.touched()
            if self._batch.is_set() or time.monotonic() - whole_at >= every.total_seconds():
                self._batch.clear()
                whole_at = time.monotonic()
                self.look(touched.union(self._facts.subjects))
                if self._facts.connected:
                    self._board.looked(self._clock(), time.monotonic() - whole_at)
            else:
                self.look(touched)
        if self._carried_out:
            await asyncio.wait(self._carried_out.values())

    def look(self, names: Iterable[str]) -> None:
        """One look at these services. Without the scheduler's facts there is nothing to decide on."""
        now, known, moment = self._clock(), self._numbers.fresh(), time.monotonic()
        for name in names:
            subject = self._facts.subjects.get(name)
            if subject is None:
                self._forget(name)
            elif not self._facts.connected:
                continue
            elif name not in self._carried_out and self._not_before.get(name, 0.0) <= moment:
                try:
                    self._look_at(subject, known, now)
                except Exception:  # one service whose numbers break a policy must not stop all others
                    log.exception("a service could not be decided on", extra={"service": name})
                    self._not_before[name] = moment + _BROKEN_S

    def _look_at(self, subject: Subject, known: Mapping[Key, float], now: float) -> None:
        name = subject.name
        state = self._states.get(name, State())
        decision, self._states[name] = decide(
            subject.policy, subject.timetable, observed(subject, known), subject.wanted, now, state
        )
        self._board.decided(subject, decision)
        if decision.changes(subject.wanted):
            self._carried_out[name] = asyncio.create_task(self._carry_out(subject, decision))

    async def _carry_out(self, subject: Subject, decision: Decision) -> None:
        name = subject.name
        try:
            wanted = await self._apply(subject, decision)
            self._facts.assume(subject, wanted, decision)
            self._board.applied(subject, decision)
        except Conflict:
            self._not_before[name] = time.monotonic() + _OVERTAKEN_S
        except EaselError:
            self._not_before[name] = time.monotonic() + _AGAIN_S
        except Exception:
            log.exception("a decision could not be carried out", extra={"service": name})
            self._not_before[name] = time.monotonic() + _BROKEN_S
        finally:
            del self._carried_out[name]
            self._facts.touch(name)

    def _forget(self, name: str) -> None:
        self._states.pop(name, None)
        self._not_before.pop(name, None)
        self._board.forget(name)
