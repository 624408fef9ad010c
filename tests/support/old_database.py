"""A database as an earlier release left it."""

from collections.abc import Sequence

from sqlalchemy import Connection, insert, inspect

from libs.db.changes import Record
from libs.db.engine import create_engine
from libs.db.rows import KINDS, row_of


async def fill(url: str, records: Sequence[Record]) -> None:
    """Writes what the tables of before have columns for."""
    engine = create_engine(url)
    try:
        async with engine.connect() as connection:
            await connection.execution_options(writes=True)
            await connection.run_sync(_write, records)
            await connection.commit()
    finally:
        await engine.dispose()


def _write(connection: Connection, records: Sequence[Record]) -> None:
    for record in records:
        table = next(kind.table for kind in KINDS if kind.record is type(record))
        known = {column["name"] for column in inspect(connection).get_columns(table.name)}
        row = {name: value for name, value in row_of(record).items() if name in known}
        connection.execute(insert(table), row)
