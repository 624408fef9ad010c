"""A real PostgreSQL server for tests: its own data directory, its own port, gone afterwards."""

import os
import pwd
import re
import shutil
import signal
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg
import pytest

from tests.support.free_ports import free_port
from tests.support.waiting import until

ROOTS = ("/usr/lib/postgresql", "/usr/pgsql", "/opt/homebrew/opt", "/usr/local/pgsql")


def postgres_binaries() -> Path | None:
    """The directory of the newest server's binaries that this machine has."""
    found = [path.parent for root in ROOTS for path in Path(root).glob("**/bin/initdb")]
    if on_path := shutil.which("initdb"):
        found.append(Path(on_path).parent)
    return max(found, key=lambda path: [int(n) for n in re.findall(r"\d+", str(path))], default=None)


@dataclass
class PostgresServer:
    """A server that listens on 127.0.0.1 alone and trusts whoever connects."""

    binaries: Path
    folder: Path
    port: int
    user: str | None
    durable: bool = False
    _process: "subprocess.Popen[bytes] | None" = field(default=None, repr=False)

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://easel@127.0.0.1:{self.port}/{database}"

    async def new_database(self) -> str:
        """The URL of a fresh, empty database."""
        name = f"t_{uuid.uuid4().hex[:12]}"
        await self.run(f"CREATE DATABASE {name}")
        return self.url(name)

    async def run(self, statement: str) -> None:
        connection = await asyncpg.connect(self.url(), timeout=5)
        try:
            await connection.execute(statement, timeout=30)
        finally:
            await connection.close()

    def create(self) -> None:
        self._call("initdb", "-D", str(self.folder), "-U", "easel", "-A", "trust", "--no-sync", "-E", "UTF8")

    def start(self) -> None:
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            "fsync": "on" if self.durable else "off",
            "max_connections": "100",
        }
        flags = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(self.binaries / "postgres"), "-D", str(self.folder), *flags],
                user=self.user,
                cwd="/",
                stdout=log,
                stderr=log,
            )

    async def answers(self) -> None:
        """Waits until the server takes connections."""

        async def ready() -> bool:
            try:
                await self.run("SELECT 1")
            except (OSError, asyncpg.PostgresError):
                return False
            return True

        await until(ready, "PostgreSQL to answer", within=30)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stops at once, cutting connections."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(timeout=30)
            self._process = None

    def _call(self, program: str, *words: str) -> None:
        command = [str(self.binaries / program), *words]
        subprocess.run(command, user=self.user, check=True, capture_output=True, timeout=60, cwd="/")


@contextmanager
def postgres_server(*, durable: bool = False) -> Iterator[PostgresServer]:
    """A server that was started, as an unprivileged user when this is root. `durable`: with fsync.

    Skips the test with a reason where the machine has no server binaries.
    """
    binaries = postgres_binaries()
    if binaries is None:
        pytest.skip("PostgreSQL server binaries (initdb, postgres) are not installed")
    user = _unprivileged_user()
    folder = Path(tempfile.mkdtemp(prefix="easel-postgres-"))
    if user is not None:
        shutil.chown(folder, user)
    server = PostgresServer(binaries, folder, free_port(), user, durable)
    try:
        server.create()
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _unprivileged_user() -> str | None:
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in known else "nobody"
