"""Brings a database's tables to the newest revision, whatever it has now."""

import asyncio
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

from libs.db.engine import create_engine

MIGRATIONS = Path(__file__).parent / "migrations"


async def migrate(database_url: str, to: str = "head") -> None:
    """Upgrades in a thread of its own, since Alembic blocks. Call while holding the store's lock."""
    await asyncio.to_thread(lambda: asyncio.run(_migrate(database_url, to)))


async def _migrate(database_url: str, to: str) -> None:
    engine = create_engine(database_url)
    try:
        async with engine.connect() as connection:
            await connection.execution_options(writes=True)
            await connection.run_sync(_upgrade, to)
            await connection.commit()
    finally:
        await engine.dispose()


def _upgrade(connection: Connection, to: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    command.upgrade(config, to)
