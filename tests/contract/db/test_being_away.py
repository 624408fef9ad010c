"""What happens when the database goes away and comes back."""

import asyncio
import logging
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from libs.db.changes import Changes
from libs.db.store import open_store
from libs.domain.errors import Conflict, FailedPrecondition, Unavailable
from tests.contract.db.records import EVENT, SERVICE
from tests.support.free_ports import free_port
from tests.support.postgres import PostgresServer, postgres_server
from tests.support.waiting import until

HOLDS_THE_STORE = """
import asyncio, sys
from libs.db.store import open_store
async def hold():
    async with open_store(sys.argv[1]):
        print("open", flush=True)
        await asyncio.sleep(600)
asyncio.run(hold())
"""

CUT_HOLDER_OF_LOCK = """
SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted
AND database = (SELECT oid FROM pg_database WHERE datname = '{}')
"""


@pytest.fixture
def own_server() -> Iterator[PostgresServer]:
    with postgres_server() as running:
        yield running


@pytest.mark.postgres
async def test_calls_say_unavailable_while_the_server_is_down_and_work_again_once_it_is_up(
    own_server: PostgresServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "libs.db")
    await own_server.answers()
    async with open_store(await own_server.new_database()) as store:
        first = await store.commit(Changes(put=(SERVICE,)))

        own_server.stop()
        for call in (
            store.load(),
            store.events(),
            store.next("epoch"),
            store.commit(Changes(events=(EVENT,))),
        ):
            with pytest.raises(Unavailable, match="the database does not answer"):
                await call

        own_server.start()
        await own_server.answers()
        assert (await store.load()).services == first.put
        assert (await store.commit(Changes(put=first.put))).put[0].revision == 2

    # Two writes were refused: the outage is one all the same.
    assert [each.message for each in caplog.records if each.name.startswith("libs.db")] == [
        "nothing is written",
        "the database answers again",
    ]


@pytest.mark.postgres
async def test_a_server_that_restarted_meanwhile_costs_no_write(own_server: PostgresServer) -> None:
    await own_server.answers()
    async with open_store(await own_server.new_database()) as store:
        first = await store.commit(Changes(put=(SERVICE,)))
        own_server.stop()
        own_server.start()
        await own_server.answers()

        second = await store.commit(Changes(put=first.put))

        assert second.put[0].revision == 2


@pytest.mark.postgres
async def test_a_cut_connection_costs_at_most_the_write_under_way(
    server: PostgresServer,
) -> None:
    await server.answers()
    async with open_store(await server.new_database()) as store:
        await store.commit(Changes(put=(SERVICE,)))
        await server.run(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'easel-scheduler'"
        )

        async def written() -> bool:
            try:
                await store.commit(Changes(events=(EVENT,)))
            except Unavailable:
                return False
            return True

        await until(written, "a write to succeed on a new connection")

        assert len(await store.events()) == 1


@pytest.mark.postgres
async def test_a_scheduler_that_lost_the_database_to_another_is_refused(server: PostgresServer) -> None:
    await server.answers()
    url = await server.new_database()
    async with open_store(url) as store, AsyncExitStack() as other_life:
        base = (await store.commit(Changes(put=(SERVICE,)))).put[0]
        starting = asyncio.create_task(other_life.enter_async_context(open_store(url)))
        await server.run(CUT_HOLDER_OF_LOCK.format(url.rpartition("/")[2]))
        other = await starting
        await other.commit(Changes(put=(base,)))

        stale = Changes(put=(replace(base, wanted=7),))
        with pytest.raises(FailedPrecondition, match="in use by another scheduler"):
            await store.commit(stale)

        await other_life.aclose()
        with pytest.raises(Conflict):
            await store.commit(stale)


async def test_a_killed_scheduler_leaves_the_database_free(url: str) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HOLDS_THE_STORE, url, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert await asyncio.wait_for(process.stdout.readline(), 30) == b"open\n"

    process.send_signal(signal.SIGKILL)
    await process.wait()

    async with open_store(url) as store:
        assert (await store.load()).services == ()


async def test_a_server_that_is_not_there_is_unavailable() -> None:
    with pytest.raises(Unavailable, match="the database does not answer"):
        async with open_store(f"postgresql://easel@127.0.0.1:{free_port()}/easel"):
            pass


async def test_an_sqlite_folder_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="No such file or directory"):
        async with open_store(f"sqlite:///{tmp_path}/nowhere/easel.db"):
            pass


async def test_an_sqlite_database_is_for_its_owner_alone(tmp_path: Path) -> None:
    async with open_store(f"sqlite:///{tmp_path}/easel.db") as store:
        await store.commit(Changes(put=(SERVICE,)))

        assert {mode & 0o077 for mode in modes(tmp_path)} == {0}


def modes(folder: Path) -> list[int]:
    return [path.stat().st_mode for path in folder.iterdir()]
