"""The context file: who may read it, what it holds, what is said when it is not there."""

import stat
from pathlib import Path

import pytest

from easel_sdk.context import Context, ContextFile, current_context, read_contexts, write_contexts
from easel_sdk.errors import InvalidContext, NoContext
from easel_sdk.settings import client_settings

HOME = Context(scheduler="127.0.0.1:8801", gateway="http://127.0.0.1:8800", token="s3cret")


def test_a_written_context_is_read_back_as_it_was(tmp_path: Path) -> None:
    file = ContextFile().saved("local", HOME, use=True)

    write_contexts(tmp_path / "easel" / "context.json", file)

    assert read_contexts(tmp_path / "easel" / "context.json") == file


def test_only_the_owner_may_read_the_context_file(tmp_path: Path) -> None:
    path = tmp_path / "context.json"
    path.write_text("{}")
    path.chmod(0o644)

    write_contexts(path, ContextFile().saved("local", HOME, use=True))

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["context.json"]


def test_the_first_context_becomes_the_current_one_and_later_ones_only_when_asked() -> None:
    file = ContextFile().saved("a", HOME, use=False).saved("b", HOME, use=False)

    assert file.current == "a"
    assert file.saved("c", HOME, use=True).current == "c"


def test_without_a_context_the_user_is_told_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(NoContext, match="run `easel up`"):
        current_context(path=tmp_path / "none.json")


def test_an_unknown_context_is_refused_with_the_known_ones() -> None:
    with pytest.raises(NoContext, match="no context named 'c'; known: a, b"):
        ContextFile().saved("b", HOME, use=True).saved("a", HOME, use=True).chosen("c")


@pytest.mark.parametrize("content", ["", "[]", "{", '{"contexts": []}', '{"contexts": {"a": 1}}'])
def test_a_file_that_is_not_one_is_refused_by_its_path(tmp_path: Path, content: str) -> None:
    path = tmp_path / "context.json"
    path.write_text(content)

    with pytest.raises(InvalidContext, match=str(path)):
        read_contexts(path)


def test_the_token_is_not_shown_when_a_context_is_printed() -> None:
    assert "s3cret" not in repr(HOME)


def test_the_environment_says_where_the_file_is_and_which_context_to_use() -> None:
    named = client_settings({"EASEL_CONTEXT": "/a/b.json", "EASEL_CONTEXT_NAME": "far"})
    moved = client_settings({"XDG_CONFIG_HOME": "/conf"})

    assert (named.context_file, named.context) == (Path("/a/b.json"), "far")
    assert moved.context_file == Path("/conf/easel/context.json")
