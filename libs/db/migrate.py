"""Brings a database's tables to the newest revision, whatever it has now."""

import asyncio
from pathlib import Path

from sqlalchemy import Connection, inspect, text

from libs.db.engine import create_engine

MIGRATIONS = Path(__file__).parent / "migrations"


async def migrate(database_url: str, to: str = "head") -> None:
    """Upgrades in a thread of its own, since Alembic blocks. Call while holding the store's lock."""
    await asyncio.to_thread(lambda: asyncio.run(_migrate(database_url, to)))


async def _migrate(database_url: str, to: str) -> None:
    engine = create_engine(database_url)
    try:
        async with engine.connect() as connection:
            if to == "head" and await connection.run_sync(_revision) == newest_revision():
                return
            await connection.execution_options(writes=True)
            await connection.run_sync(_upgrade, to)
            await connection.commit()
    finally:
        await engine.dispose()


def newest_revision() -> str:
    """The revision that the newest migration file makes; files are named by their revisions."""
    return max(path.name.partition("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*_*.py"))


def _revision(connection: Connection) -> str:
    """The revision the database has, "" for an empty one."""
    if not inspect(connection).has_table("alembic_version"):
        return ""
    return str(connection.scalar(text("SELECT version_num FROM alembic_version")))


def _upgrade(connection: Connection, to: str) -> None:
    # Imported when there is something to upgrade: it takes longer than all else of a start.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    command.upgrade(config, to)
