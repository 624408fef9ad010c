"""The directories for `host_path` that `easel up` was told of once."""

from pathlib import Path

import pytest

from cli.host_roots import keep_roots, kept_roots, merged_roots
from libs.domain.errors import EaselError
from tests.support.command_line import CommandLine

A, B = Path("/srv/a"), Path("/srv/b")


def test_a_first_start_knows_no_directory(tmp_path: Path) -> None:
    assert kept_roots(tmp_path / "not there yet") == []


def test_what_was_kept_is_there_at_the_next_start(tmp_path: Path) -> None:
    keep_roots(tmp_path, [Path("/srv/models")])

    assert kept_roots(tmp_path) == [Path("/srv/models")]


def test_a_directory_given_now_joins_those_of_before_once() -> None:
    assert merged_roots([B], {A: True, B: True}) == [A, B]


def test_a_directory_that_is_taken_back_is_forgotten() -> None:
    assert merged_roots([A, B], {A: False}) == [B]


def test_what_is_no_directory_is_a_usage_error(lonely: CommandLine, tmp_path: Path) -> None:
    ran = lonely("up", "--host-root", str(tmp_path / "none"))

    assert ran.code == 2 and "none is not a directory" in " ".join(ran.err.split())


@pytest.mark.parametrize("content", ["", "{}", "[", "[3]"])
def test_a_damaged_file_says_what_to_do(tmp_path: Path, content: str) -> None:
    (tmp_path / "host_roots.json").write_text(content)

    with pytest.raises(EaselError, match="delete it, and name the directories again with --host-root DIR"):
        kept_roots(tmp_path)
