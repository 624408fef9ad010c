"""The buckets that `easel up` was told of once."""

from pathlib import Path

import pytest

from cli.buckets import keep, kept, merged
from libs.domain.errors import EaselError

MODELS, CODE = Path("/srv/models"), Path("/srv/code")


def test_a_first_start_knows_no_bucket(tmp_path: Path) -> None:
    assert kept(tmp_path / "not there yet") == {}


def test_what_was_kept_is_there_at_the_next_start(tmp_path: Path) -> None:
    keep(tmp_path, {"models": MODELS})

    assert kept(tmp_path) == {"models": MODELS}


def test_a_bucket_given_now_joins_those_of_before_or_takes_the_place_of_its_namesake() -> None:
    assert merged({"models": MODELS}, {"code": CODE}) == {"code": CODE, "models": MODELS}
    assert merged({"models": MODELS}, {"models": CODE}) == {"models": CODE}


def test_a_bucket_given_without_a_directory_is_forgotten() -> None:
    assert merged({"models": MODELS, "code": CODE}, {"models": None}) == {"code": CODE}


@pytest.mark.parametrize("content", ["", "[]", "{", '{"models": 3}'])
def test_a_damaged_file_says_what_to_do(tmp_path: Path, content: str) -> None:
    (tmp_path / "buckets.json").write_text(content)

    with pytest.raises(EaselError, match="delete it, and name the buckets again with --bucket NAME=DIR"):
        kept(tmp_path)
