"""Every store test runs on SQLite, on the tests' own store, and on PostgreSQL where it is installed."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from libs.db.store import Store, open_store
from tests.support.memory_store import MemoryStore
from tests.support.postgres import PostgresServer, postgres_server


@pytest.fixture(scope="session")
def server() -> Iterator[PostgresServer]:
    with postgres_server() as running:
        yield running


_DATABASES = ("sqlite", pytest.param("postgresql", marks=pytest.mark.postgres))


@pytest.fixture(params=_DATABASES)
async def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database that is empty."""
    return await an_empty_database(request, tmp_path)


@pytest.fixture(params=[*_DATABASES, "memory"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    if request.param == "memory":
        yield MemoryStore()
        return
    async with open_store(await an_empty_database(request, tmp_path)) as opened:
        yield opened


async def an_empty_database(request: pytest.FixtureRequest, directory: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{directory}/easel.db"
    running: PostgresServer = request.getfixturevalue("server")
    await running.answers()
    return await running.new_database()
