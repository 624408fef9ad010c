"""Every store test runs on SQLite, and on PostgreSQL where its server binaries are installed."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from libs.db.store import Store, open_store
from tests.support.postgres import PostgresServer, postgres_server


@pytest.fixture(scope="session")
def server() -> Iterator[PostgresServer]:
    with postgres_server() as running:
        yield running


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
async def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database that is empty."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/easel.db"
    running: PostgresServer = request.getfixturevalue("server")
    await running.answers()
    return await running.new_database()


@pytest.fixture
async def store(url: str) -> AsyncIterator[Store]:
    async with open_store(url) as opened:
        yield opened
