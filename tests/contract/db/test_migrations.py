"""The migrations lead from nothing to the tables that the code expects."""

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, insert, inspect

from libs.db.changes import Changes, Record
from libs.db.columns import metadata
from libs.db.engine import create_engine
from libs.db.migrate import migrate
from libs.db.rows import KINDS, Kind, row_of
from libs.db.store import open_store
from libs.domain.records import Instance, Node, ResourceGroup, Service, ServiceVersion, Token
from libs.domain.states import SafetyLock
from tests.contract.db.records import ALL, INSTANCE, NODE, SERVICE


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


async def test_what_the_first_release_stored_is_there_after_the_upgrade(url: str) -> None:
    updating = replace(SERVICE, name="updating", version=2)
    old = replace(INSTANCE, id="updating-a", service="updating", version=1)
    first = {Service, ServiceVersion, Instance, Node, ResourceGroup, Token}
    records = (*(record for record in ALL if type(record) in first), updating, old)
    await migrate(url, "0001")
    await fill(url, [replace(record, revision=3) for record in records])

    async with open_store(url) as store:
        stored = await store.load()
        await store.commit(Changes(put=(*stored.services, *stored.instances, *stored.nodes)))

    assert {each.name: each.stable_version for each in stored.services} == {
        SERVICE.name: SERVICE.version,
        "updating": 0,
    }
    assert {each.edits for each in stored.services} == {1}
    assert {each.safety_lock for each in stored.services} == {SafetyLock.NONE}
    kept = {each.id: each for each in stored.instances}[INSTANCE.id]
    assert (kept.node, kept.port, kept.ready) == (INSTANCE.node, INSTANCE.port, INSTANCE.ready)
    assert (kept.isolated, kept.detached, kept.run, kept.replace_why) == (False, False, 0, "")
    assert [each.capacity for each in stored.nodes] == [NODE.capacity]
    assert len(stored.versions) == len(stored.resource_groups) == len(stored.tokens) == 1
    assert stored.rollouts == stored.secrets == stored.datasets == ()


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
