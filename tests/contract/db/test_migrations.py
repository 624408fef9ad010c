"""The migrations lead from nothing to the tables that the code expects."""

import json
from dataclasses import fields, replace
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection

from libs.db.changes import Changes
from libs.db.columns import metadata
from libs.db.engine import create_engine
from libs.db.migrate import migrate
from libs.db.rows import KINDS, Kind
from libs.db.store import open_store
from libs.domain.records import Instance, Node, ResourceGroup, Service, ServiceVersion, Token
from libs.domain.states import SafetyLock
from services.scheduler.ledger import Ledger
from services.scheduler.scaling.upgrade import policies_read
from services.scheduler.world import World
from tests.contract.db.records import ALL, INSTANCE, NODE, NOW, SERVICE
from tests.support.old_database import fill

QPS = {"scaleStrategies": [{"metricName": "qps", "threshold": 10}]}
SCHEDULE = {"ScaleJobs": [{"Name": "day", "Schedule": "0 0 8 * * *", "TargetSize": 5}]}


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


async def test_what_documents_named_before_it_was_followed_is_in_force_after_the_upgrade(url: str) -> None:
    documents: dict[str, dict[str, Any]] = {
        "both": {"autoscaler": {"max": 4, **QPS}, "cronScaler": SCHEDULE},
        "odd": {"autoscaler": {"strategies": {"queue length": 5}}},
        "none": {"autoscaler": None, "cronScaler": {"ScaleJobs": []}},
        "unshaped": {"autoscaler": False, "cronScaler": "every morning"},
    }
    services = [replace(SERVICE, name=name, version=2, wanted=9, revision=3) for name in documents]
    newer = (ServiceVersion(name, 2, json.dumps(spec), NOW, "", 1) for name, spec in documents.items())
    older = ServiceVersion("none", 1, json.dumps({"autoscaler": QPS}), NOW, "", 1)
    await migrate(url, "0003")
    await fill(url, [*services, *newer, older])

    for start in (NOW, NOW + timedelta(hours=1)):
        async with open_store(url) as store:
            ledger = Ledger(store, World(await store.load()))
            await ledger.change(partial(policies_read, now=start))
            after, events = await store.load(), await store.events()

    (scaler,), (schedule,) = after.autoscalers, after.cronscalers
    assert (scaler.service, json.loads(scaler.policy_json)) == ("both", {"max": 4, **QPS})
    assert (schedule.service, json.loads(schedule.policy_json)) == ("both", SCHEDULE)
    assert [job.name for job in schedule.jobs] == ["day"]
    assert {each.updated_at for each in (scaler, schedule)} == {NOW}
    assert {each.wanted for each in after.services} == {9}
    assert sorted((each.service, each.reason) for each in events) == [
        ("both", "AutoscalerSet"),
        ("both", "ScheduleSet"),
        ("odd", "PolicyRefused"),
    ]
    refused = next(each.why for each in events if each.service == "odd")
    assert refused.startswith("its service.json names a policy that is not followed: autoscaler.strategies")


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
