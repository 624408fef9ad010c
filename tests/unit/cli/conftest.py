"""A fake scheduler in a thread, and a command line that talks to it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.command_line import CommandLine
from tests.support.fake_admin import ADMIN_TOKEN, FakeAdmin, fake_admin_thread


@pytest.fixture
def fake() -> Iterator[FakeAdmin]:
    with fake_admin_thread() as served:
        yield served


@pytest.fixture
def lonely(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> CommandLine:
    """A command line without any context."""
    path = tmp_path / "context.json"
    monkeypatch.setenv("EASEL_CONTEXT", str(path))
    monkeypatch.setenv("EASEL_DATA_DIR", str(tmp_path / "data"))
    for name in ("EASEL_CONTEXT_NAME", "EASEL_DEBUG", "EASEL_OTLP_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    return CommandLine(path, capsys)


@pytest.fixture
def easel(lonely: CommandLine, fake: FakeAdmin) -> CommandLine:
    lonely.knows(scheduler=fake.address, gateway="http://127.0.0.1:1", token=ADMIN_TOKEN)
    return lonely


@pytest.fixture
def echo_file(tmp_path: Path) -> str:
    """A service.json of a service called echo with two instances."""
    path = tmp_path / "echo.json"
    path.write_text('{"metadata": {"instance": 2, "cpu": 1}, "name": "echo", "containers": [{"port": 8000}]}')
    return str(path)
