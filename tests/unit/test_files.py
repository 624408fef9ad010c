"""What a reader and a killed writer find where a file is replaced."""

import stat
from pathlib import Path

import pytest

from libs.files import replace_file


@pytest.mark.parametrize("durable", [False, True])
def test_a_replaced_file_holds_the_new_content_for_its_owner_alone(tmp_path: Path, durable: bool) -> None:
    path = tmp_path / "state"
    path.write_bytes(b"a longer content of before")
    path.chmod(0o644)

    replace_file(path, b"new", durable=durable)

    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_killed_writer_left_is_written_over(tmp_path: Path) -> None:
    path = tmp_path / "state"
    (tmp_path / "state.draft").write_bytes(b"half of a long cont")

    replace_file(path, b"whole")

    assert path.read_bytes() == b"whole"


def test_a_reader_that_opened_it_before_reads_the_content_of_before(tmp_path: Path) -> None:
    path = tmp_path / "state"
    path.write_bytes(b"old")

    with path.open("rb") as reader:
        replace_file(path, b"new")

        assert reader.read() == b"old"
