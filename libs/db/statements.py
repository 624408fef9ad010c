"""The statements that the store runs, each for many rows at once."""

from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import ColumnElement, Insert, Select, Table, bindparam, delete, insert, select, tuple_
from sqlalchemy.dialects import sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.db import scaling_tables, tables
from libs.db.changes import Record
from libs.db.rows import KINDS, Key, Kind, event_row, gpu_rows, key_of, row_of, usage_row
from libs.domain.records import Event, Node
from libs.domain.scaling import Usage

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql

# Both engines bound the number of parameters of a statement.
KEYS_AT_ONCE = 1_000

T = TypeVar("T")


@cache
def upsert(table: Table, dialect: str) -> Insert:
    """Inserts a row, or replaces all but the key of the one there."""
    statement = _insert(table, dialect)
    keys = [column.name for column in table.primary_key]
    replaced = {c.name: statement.excluded[c.name] for c in table.columns if c.name not in keys}
    return statement.on_conflict_do_update(index_elements=keys, set_=replaced)


async def revisions(connection: AsyncConnection, keys: Iterable[Key]) -> dict[Key, int]:
    """The revision of each of the keys that is stored."""
    found: dict[Key, int] = {}
    for kind, values in _by_kind(keys):
        for some in _slices(values):
            columns = tuple(kind.table.primary_key)
            chosen = select(*columns, kind.table.c.revision).where(_is_one_of(kind, some))
            rows = await connection.execute(_for_update(chosen, connection))
            found |= {Key(kind, tuple(row[:-1])): row[-1] for row in rows}
    return found


async def add_to_counters(connection: AsyncConnection, added: dict[str, int]) -> dict[str, int]:
    """Adds to the named counters, made when missing; their new values."""
    counters, values = tables.counters, {}
    for name, by in added.items():
        fresh = _insert(counters, connection.dialect.name)
        statement = fresh.values(name=name, value=by).on_conflict_do_update(
            index_elements=["name"], set_={"value": counters.c.value + fresh.excluded.value}
        )
        values[name] = (await connection.execute(statement.returning(counters.c.value))).scalar_one()
    return values


async def write(
    connection: AsyncConnection,
    put: Sequence[Record],
    gone: Sequence[Key],
    events: Sequence[Event],
    usage: Sequence[Usage],
) -> None:
    """Writes rows without asking about revisions; that was settled before."""
    nodes = [record for record in put if isinstance(record, Node)]
    stale = [node.name for node in nodes] + [str(k.values[0]) for k in gone if k.kind.record is Node]
    if stale:
        drop = delete(tables.gpus).where(tables.gpus.c.node == bindparam("name_of_node"))
        await connection.execute(drop, [{"name_of_node": name} for name in stale])
    for kind, values in _by_kind(gone):
        for some in _slices(values):
            await connection.execute(delete(kind.table).where(_is_one_of(kind, some)))
    for kind in KINDS:
        rows = [row_of(record) for record in put if type(record) is kind.record]
        if rows:
            await connection.execute(upsert(kind.table, connection.dialect.name), rows)
    if devices := [row for node in nodes for row in gpu_rows(node)]:
        await connection.execute(insert(tables.gpus), devices)
    if events:
        await connection.execute(insert(tables.events), [event_row(event) for event in events])
    if usage:
        await connection.execute(insert(scaling_tables.usage), [usage_row(each) for each in usage])


def keys_of(records: Iterable[Record]) -> list[Key]:
    return [key_of(record) for record in records]


def _insert(table: Table, dialect: str) -> "postgresql.Insert | sqlite.Insert":
    if dialect != "postgresql":
        return sqlite.insert(table)
    # Imported where it is spoken: it takes a tenth of the time that SQLAlchemy takes to load.
    from sqlalchemy.dialects import postgresql

    return postgresql.insert(table)


def _is_one_of(kind: Kind, values: Sequence[tuple[str | int, ...]]) -> ColumnElement[bool]:
    columns = tuple(kind.table.primary_key)
    if len(columns) == 1:
        return columns[0].in_([value[0] for value in values])
    return tuple_(*columns).in_(values)


def _for_update(statement: Select[Any], connection: AsyncConnection) -> Select[Any]:
    return statement.with_for_update() if _postgres(connection) else statement


def _postgres(connection: AsyncConnection) -> bool:
    return connection.dialect.name == "postgresql"


def _by_kind(keys: Iterable[Key]) -> Iterator[tuple[Kind, list[tuple[str | int, ...]]]]:
    wanted = set(keys)
    for kind in KINDS:
        if values := sorted(key.values for key in wanted if key.kind is kind):
            yield kind, values


def _slices(values: Sequence[T]) -> Iterator[Sequence[T]]:
    return (values[i : i + KEYS_AT_ONCE] for i in range(0, len(values), KEYS_AT_ONCE))
