"""The file of totals."""

from pathlib import Path

import numpy as np
import pytest

from services.metrics.envoy_stream import EnvoyStreams
from services.metrics.keeping import Keeping
from services.metrics.store import Store
from services.metrics.totals import WIDTH, Key

KEY = Key("gateway", "cluster", "echo/1")


def a_keeping(path: Path) -> tuple[Store, Keeping]:
    store = Store()
    return store, Keeping(store, EnvoyStreams(store), path)


async def test_totals_are_there_again_after_a_restart(tmp_path: Path) -> None:
    store, keeping = a_keeping(tmp_path / "totals.npz")
    store.totals.add(np.array([store.totals.place(KEY)]), np.full((1, WIDTH), 7.0))
    await keeping.keep()

    again, restored = a_keeping(tmp_path / "totals.npz")
    restored.restore()

    assert again.totals.raw[again.totals.find(KEY)].tolist() == [7.0] * WIDTH
    assert again.published is not None
    assert again.published.keys == [KEY]


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no archive", b"nonsense"])
def test_a_file_that_cannot_be_read_is_said_and_all_begins_anew(
    tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "totals.npz"
    path.write_bytes(content)
    store, keeping = a_keeping(path)

    keeping.restore()

    assert not list(store.totals.items())
    assert "totals begin anew" in caplog.text


async def test_a_directory_that_cannot_be_written_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store, keeping = a_keeping(tmp_path / "away" / "totals.npz")

    await keeping.keep()
    await keeping.keep()

    assert caplog.text.count("totals are not kept") == 1
    assert store.published is not None
