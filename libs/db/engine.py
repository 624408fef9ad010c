"""What differs between SQLite and PostgreSQL, and the one connection that may write."""

import asyncio
import fcntl
import os
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from sqlalchemy import event, make_url, text
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from libs.domain.errors import EaselError, FailedPrecondition, InvalidRequest, Unavailable

CONNECT_WITHIN = 5.0
STATEMENT_WITHIN = 10.0
# How long a starting store waits for the one before it to let go.
LOCK_WITHIN = 3.0
# Any number, the same in every scheduler: the name of the lock.
_LOCK = 0x6561_7365_6C

_TAKEN = "the database is in use by another scheduler; stop that one, or give this one its own database"
_DRIVERS = {
    "sqlite": "sqlite+aiosqlite",
    "postgresql": "postgresql+asyncpg",
    "postgres": "postgresql+asyncpg",
}
# SQLSTATE classes in which the server, not the statement, is the trouble: connection, resources, operator.
_AWAY = ("08", "53", "57", "58", "40", "55")


def create_engine(database_url: str) -> AsyncEngine:
    """An engine for `sqlite:///path` or `postgresql://...`. Raises InvalidRequest for any other."""
    try:
        url = make_url(database_url)
    except Exception as error:
        raise InvalidRequest("database_url", database_url, "sqlite:///path or postgresql://...") from error
    shown = url.render_as_string(hide_password=True)
    driver = _DRIVERS.get(url.get_backend_name())
    if driver is None or (url.get_backend_name() == "sqlite" and not url.database):
        raise InvalidRequest("database_url", shown, "sqlite:///path or postgresql://...")
    url = url.set(drivername=driver)
    if driver == _DRIVERS["sqlite"]:
        engine = create_async_engine(url, connect_args={"timeout": CONNECT_WITHIN, "isolation_level": None})
        event.listen(engine.sync_engine, "connect", _set_up_sqlite)
        event.listen(engine.sync_engine, "begin", _begin_sqlite)
        return engine
    return create_async_engine(url, pool_pre_ping=True, connect_args=_POSTGRES_ARGUMENTS)


_POSTGRES_ARGUMENTS: dict[str, Any] = {
    "timeout": CONNECT_WITHIN,
    "command_timeout": STATEMENT_WITHIN + 2,
    "server_settings": {
        "application_name": "easel-scheduler",
        "statement_timeout": f"{STATEMENT_WITHIN:g}s",
        "lock_timeout": "5s",
        "idle_in_transaction_session_timeout": "30s",
        # So that the lock of a scheduler whose host vanished is released within half a minute.
        "tcp_keepalives_idle": "10",
        "tcp_keepalives_interval": "5",
        "tcp_keepalives_count": "3",
    },
}


def _set_up_sqlite(connection: Any, _: object) -> None:
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "busy_timeout = 5000"):
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA {pragma}")
        cursor.close()


def _begin_sqlite(connection: Any) -> None:
    # A transaction that will write takes the write lock at once, so that it cannot lose a race later.
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextmanager
def away_is_unavailable() -> Iterator[None]:
    """Turns the ways in which a database is away, full or too slow into one sentence; leaves bugs alone."""
    try:
        yield
    except (OSError, TimeoutError) as error:
        raise Unavailable(f"the database does not answer: {error or type(error).__name__}") from error
    except DBAPIError as error:
        state = str(getattr(error.orig, "sqlstate", None) or "")
        away = error.connection_invalidated or isinstance(error, OperationalError | InterfaceError)
        if not away and not state.startswith(_AWAY):
            raise
        raise Unavailable(f"the database does not answer: {error.orig}") from error


@runtime_checkable
class _Asyncpg(Protocol):
    def is_closed(self) -> bool: ...


class WriterConnection:
    """The one connection that writes, and the lock that keeps a second scheduler out.

    On PostgreSQL the lock belongs to the session: it ends with the connection, so whoever writes holds it.
    On SQLite it is a lock on a file beside the database. Both are released when the process dies.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._connection: AsyncConnection | None = None
        self._lock_file: int | None = None

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """One transaction, on a fresh connection if the last was lost before it began.

        Raises Unavailable when the database is away, FailedPrecondition when another scheduler has it. After
        any failure on the way nothing was written, unless the connection was lost during the commit itself.
        """
        with away_is_unavailable():
            try:
                async with asyncio.timeout(CONNECT_WITHIN + LOCK_WITHIN):
                    connection = await self._connected()
                async with asyncio.timeout(2 * STATEMENT_WITHIN), connection.begin():
                    yield connection
            except EaselError:
                raise
            except BaseException:
                await self._drop()
                raise

    async def close(self) -> None:
        await self._drop()
        if self._lock_file is not None:
            os.close(self._lock_file)
            self._lock_file = None

    async def _connected(self) -> AsyncConnection:
        if self._connection is None or _is_lost(self._connection):
            await self._drop()
            if self._engine.dialect.name == "sqlite":
                await self._lock_sqlite()
            self._connection = await self._engine.connect()
            await self._connection.execution_options(writes=True)
            if self._engine.dialect.name == "postgresql":
                await self._lock_postgres(self._connection)
        return self._connection

    async def _lock_sqlite(self) -> None:
        if self._lock_file is not None:
            return
        path = Path(str(self._engine.url.database))
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        self._lock_file = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        ends = time.monotonic() + LOCK_WITHIN
        while not _flock(self._lock_file):
            if time.monotonic() > ends:
                os.close(self._lock_file)
                self._lock_file = None
                raise FailedPrecondition(_TAKEN)
            await asyncio.sleep(0.05)

    async def _lock_postgres(self, connection: AsyncConnection) -> None:
        ends = time.monotonic() + LOCK_WITHIN
        while True:
            async with connection.begin():
                if await connection.scalar(text("SELECT pg_try_advisory_lock(:lock)"), {"lock": _LOCK}):
                    return
            if time.monotonic() > ends:
                await self._drop()
                raise FailedPrecondition(_TAKEN)
            await asyncio.sleep(0.05)

    async def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            return
        try:
            async with asyncio.timeout(CONNECT_WITHIN):
                await connection.invalidate()
                await connection.close()
        except (OSError, TimeoutError, DBAPIError):
            return


def _is_lost(connection: AsyncConnection) -> bool:
    """Whether the server has ended the connection since its last use: known without sending anything."""
    if connection.closed or connection.invalidated or connection.sync_connection is None:
        return True
    driver = connection.sync_connection.connection.driver_connection
    return isinstance(driver, _Asyncpg) and driver.is_closed()


def _flock(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
