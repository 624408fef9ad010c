"""The migrations lead from nothing to the tables that the code expects."""

from dataclasses import fields
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection

from libs.db.changes import Changes
from libs.db.engine import create_engine
from libs.db.migrate import migrate
from libs.db.rows import KINDS, Kind
from libs.db.store import open_store
from libs.db.tables import metadata
from tests.contract.db.records import ALL


async def test_an_upgrade_from_empty_gives_the_tables_that_the_code_expects(url: str) -> None:
    await migrate(url)

    assert await differences(url) == []


async def test_an_upgrade_of_what_is_up_to_date_keeps_everything(url: str) -> None:
    async with open_store(url) as store:
        await store.commit(Changes(put=ALL))
        before = await store.load()

    await migrate(url)

    async with open_store(url) as store:
        assert await store.load() == before


async def differences(url: str) -> list[Any]:
    engine = create_engine(url)
    try:
        async with engine.connect() as connection:
            return await connection.run_sync(_compare)
    finally:
        await engine.dispose()


def _compare(connection: Connection) -> list[Any]:
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    return list(compare_metadata(context, metadata))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.noun)
def test_a_table_has_a_column_for_each_field_of_its_record_and_no_other(kind: Kind) -> None:
    amounts = {"cpu_milli", "memory_mib", "disk_mib", "gpu_count"} if kind.amounts else set()
    kept = {each.name for each in fields(kind.record)} - {kind.amounts, "gpus"} | amounts

    assert {column.name for column in kind.table.columns} == kept
