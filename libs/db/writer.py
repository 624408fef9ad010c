"""Group commit: all that waits while one transaction runs shares the next."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from libs.db import statements
from libs.db.being_away import BeingAway
from libs.db.changes import Changes
from libs.db.engine import WriterConnection
from libs.db.settle import settle
from libs.domain.errors import EaselError, Unavailable

EVENTS_COUNTER = "events"
# Keeps one transaction short; what is left waits for the next.
AT_ONCE = 512

T = TypeVar("T")


@dataclass(eq=False)
class Waiting:
    """Changes, or a counter to be moved on, and the future of the one who waits."""

    changes: Changes = field(default_factory=Changes)
    counter: str = ""
    by: int = 0
    answer: "asyncio.Future[Changes | int]" = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )

    def settle(self, outcome: "Changes | int | BaseException") -> None:
        if self.answer.done():
            return
        if isinstance(outcome, BaseException):
            self.answer.set_exception(outcome)
        else:
            self.answer.set_result(outcome)


class Writer:
    """Carries out writes in the order asked for, one transaction at a time.

    One that gives up waiting before its transaction began writes nothing; afterwards its changes are written.
    """

    def __init__(self, connection: WriterConnection) -> None:
        self._connection = connection
        self._waiting: list[Waiting] = []
        self._wake = asyncio.Event()
        self._one_at_a_time = asyncio.Lock()
        self._closed = False
        self._away = BeingAway()

    async def commit(self, changes: Changes) -> Changes:
        outcome = await self._ask(Waiting(changes=changes))
        assert isinstance(outcome, Changes)  # noqa: S101
        return outcome

    async def next(self, counter: str, by: int) -> int:
        outcome = await self._ask(Waiting(counter=counter, by=by))
        assert isinstance(outcome, int)  # noqa: S101
        return outcome

    async def alone(self, work: Callable[..., Awaitable[T]]) -> T:
        """Runs `work(connection)` in a transaction of its own."""
        async with self._one_at_a_time, self._connection.transaction() as connection:
            return await work(connection)

    async def run(self) -> None:
        """Serves until cancelled or closed with nothing left waiting."""
        try:
            while self._waiting or not self._closed:
                await self._wake.wait()
                async with self._one_at_a_time:
                    batch = self._next_batch()
                    if batch:
                        await self._serve(batch)
        finally:
            self._closed = True
            for each in self._waiting:
                each.settle(Unavailable("the store was closed before this was written"))

    def close(self) -> None:
        """No more writes are taken; those waiting are carried out."""
        self._closed = True
        self._wake.set()

    def _next_batch(self) -> list[Waiting]:
        batch, self._waiting = self._waiting[:AT_ONCE], self._waiting[AT_ONCE:]
        if not self._waiting and not self._closed:
            self._wake.clear()
        return [each for each in batch if not each.answer.done()]

    async def _ask(self, waiting: Waiting) -> Changes | int:
        if self._closed:
            raise Unavailable("the store is closed")
        self._waiting.append(waiting)
        self._wake.set()
        return await waiting.answer

    async def _serve(self, batch: Sequence[Waiting]) -> None:
        outcomes: Sequence[Changes | int | BaseException]
        try:
            outcomes = await self._write(batch)
            self._away.over()
        except EaselError as error:
            self._away.lasts(str(error))
            outcomes = [_same(error) for _ in batch]
        except Exception as error:
            # Something about one of them cannot be written at all: the others should not suffer for it.
            if len(batch) > 1:
                for each in batch:
                    await self._serve([each])
                return
            outcomes = [error]
        except BaseException:
            for each in batch:
                each.settle(Unavailable("the store was closed while this was being written"))
            raise
        for each, outcome in zip(batch, outcomes, strict=True):
            each.settle(outcome)

    async def _write(self, batch: Sequence[Waiting]) -> "list[Changes | int | BaseException]":
        asked = [each.changes for each in batch if not each.counter]
        touched = statements.keys_of(record for each in asked for record in (*each.put, *each.delete))
        steps: dict[str, int] = {}
        for each in batch:
            if each.counter:
                steps[each.counter] = steps.get(each.counter, 0) + each.by
        if new_events := sum(len(each.events) for each in asked):
            steps[EVENTS_COUNTER] = steps.get(EVENTS_COUNTER, 0) + new_events
        async with self._connection.transaction() as connection:
            stored = await statements.revisions(connection, touched)
            values = await statements.add_to_counters(connection, steps)
            begin = {name: value - steps[name] for name, value in values.items()}
            first_event = begin.get(EVENTS_COUNTER, 0) + steps.get(EVENTS_COUNTER, 0) - new_events + 1
            settled = settle(asked, stored, first_event)
            await statements.write(connection, settled.put, settled.delete, settled.events, settled.usage)
        outcomes = iter(settled.outcomes)
        return [_counted(each, begin) if each.counter else next(outcomes) for each in batch]


def _counted(waiting: Waiting, begin: dict[str, int]) -> int:
    begin[waiting.counter] += waiting.by
    return begin[waiting.counter]


def _same(error: EaselError) -> EaselError:
    """A copy for each who waits: one exception raised in many places would mix up their tracebacks."""
    return type(error)(*error.args) if type(error).__init__ is EaselError.__init__ else error
