"""The store: everything the scheduler must not forget, behind a few calls.

Writes are optimistic: each record carries the revision it was computed from, and a write of anything but the
newest is refused as a whole. One process writes at a time.
"""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Protocol

from sqlalchemy import Text, and_, column, delete, or_, select, values
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from libs.db import scaling_tables, tables
from libs.db.changes import Changes, Contents
from libs.db.engine import STATEMENT_WITHIN, WriterConnection, away_is_unavailable, create_engine
from libs.db.migrate import migrate
from libs.db.rows import KINDS, event_of, gpu_of, record_of, usage_of
from libs.db.writer import Writer
from libs.domain.errors import InvalidRequest
from libs.domain.records import Event, Gpu, Node
from libs.domain.scaling import Usage


class Store(Protocol):
    """What the scheduler keeps. Every call raises Unavailable while the database is away, and works again
    once it is back; FailedPrecondition when another scheduler took the database over meanwhile.
    """

    async def load(self) -> Contents:
        """Everything but events and usage, as of one moment."""

    async def commit(self, changes: Changes) -> Changes:
        """Writes all or nothing; the same with the new revisions and the events' ids.

        Raises Conflict, naming the record, when one was not computed from the newest revision; AlreadyExists
        when one with revision 0 is there already. After Unavailable the changes may have been written: load
        again to know.
        """

    async def events(
        self,
        *,
        service: str = "",
        subject: str = "",
        reason: str = "",
        before_id: int = 0,
        after_id: int = 0,
        limit: int = 100,
    ) -> tuple[Event, ...]:
        """Events with ids between the bounds, 0 for none; newest first, or oldest first with `after_id`."""

    async def newest_events(self, services: Collection[str], reason: str) -> Mapping[str, Event]:
        """The newest event of each of these services that has this reason, by service, in one reading."""

    async def next(self, counter: str, by: int = 1) -> int:
        """Moves a counter on and returns its new value: the last of `by` numbers that are the caller's.

        Durable; no number is given twice, even across restarts. Numbers may be skipped.
        """

    async def prune_events(self, keep: int) -> int:
        """Deletes all but the newest `keep` events; how many went."""

    async def usage(
        self,
        begin: datetime,
        end: datetime,
        *,
        service: str = "",
        after: Usage | None = None,
        limit: int = 10_000,
    ) -> tuple[Usage, ...]:
        """What ended after `begin` and began before `end`, in the order of its beginning; the first of it, or
        what comes after that one."""

    async def prune_usage(self, before: datetime) -> int:
        """Deletes what ended before; how many rows went."""


@asynccontextmanager
async def open_store(database_url: str) -> AsyncIterator[Store]:
    """The store at `sqlite:///path` or `postgresql://...`, its tables brought up to date first.

    Raises InvalidRequest for another kind of URL, Unavailable when the database does not answer and
    FailedPrecondition when another scheduler has it open. What was asked for before leaving is written.
    """
    engine = create_engine(database_url)
    connection = WriterConnection(engine)
    writer = Writer(connection)
    try:
        async with connection.transaction():
            pass
        with away_is_unavailable():
            await migrate(database_url)
        serving = asyncio.create_task(writer.run(), name="store writer")
        try:
            yield SqlStore(engine, writer)
        finally:
            writer.close()
            await serving
    finally:
        await connection.close()
        await engine.dispose()


class SqlStore:
    """A `Store` on SQLAlchemy: one connection writes, others read."""

    def __init__(self, engine: AsyncEngine, writer: Writer) -> None:
        self._engine, self._writer = engine, writer

    async def load(self) -> Contents:
        async with self._reading() as connection:
            gpus = await _gpus(connection)
            records = {}
            for kind in KINDS:
                rows = await connection.execute(select(kind.table).order_by(*kind.table.primary_key))
                records[kind.record] = tuple(
                    record_of(kind, row, gpus=gpus.get(row["name"], ()))
                    if kind.record is Node
                    else record_of(kind, row)
                    for row in rows.mappings()
                )
        return Contents(*(records[kind.record] for kind in KINDS))

    async def commit(self, changes: Changes) -> Changes:
        return await self._writer.commit(changes) if changes else changes

    async def events(
        self,
        *,
        service: str = "",
        subject: str = "",
        reason: str = "",
        before_id: int = 0,
        after_id: int = 0,
        limit: int = 100,
    ) -> tuple[Event, ...]:
        event = tables.events.c
        wanted = select(tables.events).order_by(event.id if after_id else event.id.desc()).limit(limit)
        if service:
            wanted = wanted.where(event.service == service)
        if subject:
            wanted = wanted.where(event.subject == subject)
        if reason:
            wanted = wanted.where(event.reason == reason)
        if before_id:
            wanted = wanted.where(event.id < before_id)
        if after_id:
            wanted = wanted.where(event.id > after_id)
        async with self._reading() as connection:
            return tuple(event_of(row) for row in (await connection.execute(wanted)).mappings())

    async def newest_events(self, services: Collection[str], reason: str) -> Mapping[str, Event]:
        if not services:
            return {}
        asked = values(column("service", Text)).data([(each,) for each in services]).cte("asked")
        # Each is looked for from its newest event on: not all that is kept of a service is read.
        event = tables.events.alias().c
        of_one = select(event.id).where(event.service == asked.c.service, event.reason == reason)
        newest = of_one.order_by(event.id.desc()).limit(1).correlate(asked).scalar_subquery()
        found = tables.events.c.id.in_(select(newest).select_from(asked))
        async with self._reading() as connection:
            rows = await connection.execute(select(tables.events).where(found))
            return {row["service"]: event_of(row) for row in rows.mappings()}

    async def next(self, counter: str, by: int = 1) -> int:
        if by < 1:
            raise InvalidRequest("by", by, "a number above 0")
        return await self._writer.next(counter, by)

    async def prune_events(self, keep: int) -> int:
        event = tables.events.c
        newest_to_go = select(event.id).order_by(event.id.desc()).offset(keep).limit(1).scalar_subquery()

        async def prune(connection: AsyncConnection) -> int:
            return (await connection.execute(delete(tables.events).where(event.id <= newest_to_go))).rowcount

        return await self._writer.alone(prune)

    async def usage(
        self,
        begin: datetime,
        end: datetime,
        *,
        service: str = "",
        after: Usage | None = None,
        limit: int = 10_000,
    ) -> tuple[Usage, ...]:
        used = scaling_tables.usage.c
        wanted = select(scaling_tables.usage).where(used.end > begin, used.begin < end).limit(limit)
        if service:
            wanted = wanted.where(used.service == service)
        if after is not None:
            later = and_(used.begin == after.begin, used.instance > after.instance)
            wanted = wanted.where(or_(used.begin > after.begin, later))
        async with self._reading() as connection:
            rows = await connection.execute(wanted.order_by(used.begin, used.instance))
            return tuple(usage_of(row) for row in rows.mappings())

    async def prune_usage(self, before: datetime) -> int:
        async def prune(connection: AsyncConnection) -> int:
            table = scaling_tables.usage
            return (await connection.execute(delete(table).where(table.c.end < before))).rowcount

        return await self._writer.alone(prune)

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[AsyncConnection]:
        """A connection on which all reads see the same moment."""
        with away_is_unavailable():
            async with asyncio.timeout(2 * STATEMENT_WITHIN), self._engine.connect() as connection:
                if self._engine.dialect.name == "postgresql":
                    await connection.execution_options(isolation_level="REPEATABLE READ")
                yield connection


async def _gpus(connection: AsyncConnection) -> dict[str, tuple[Gpu, ...]]:
    rows = await connection.execute(select(tables.gpus).order_by(tables.gpus.c.node, tables.gpus.c.index))
    by_node: dict[str, list[Gpu]] = {}
    for row in rows.mappings():
        by_node.setdefault(row["node"], []).append(gpu_of(row))
    return {node: tuple(gpus) for node, gpus in by_node.items()}
