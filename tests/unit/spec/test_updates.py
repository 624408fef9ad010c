"""What an update makes of a stored service.json."""

import pytest

from libs.domain.errors import InvalidSpec
from libs.spec import dump_service, merge_update, parse_service, replace_update

STORED: dict[str, object] = {
    "metadata": {"name": "quick_start", "instance": 1, "rpc": {"keepalive": 5000, "batching": True}},
    "containers": [{"image": "app:1", "port": 8000}],
    "labels": {"team": "search"},
}


def test_a_merge_changes_what_it_names_and_nothing_else() -> None:
    merged = merge_update(STORED, {"metadata": {"instance": 3, "rpc": {"keepalive": 9000}}})

    assert merged == {
        **STORED,
        "metadata": {"name": "quick_start", "instance": 3, "rpc": {"keepalive": 9000, "batching": True}},
    }


def test_a_merge_replaces_arrays_as_a_whole() -> None:
    merged = merge_update(STORED, {"containers": [{"image": "app:2"}]})

    assert merged["containers"] == [{"image": "app:2"}]


def test_a_merge_removes_what_is_null() -> None:
    merged = merge_update(STORED, {"labels": None, "metadata": {"rpc": {"batching": None}}})

    assert "labels" not in merged
    assert parse_service(merged).spec.metadata.rpc.batching is False


def test_a_merge_understands_dotted_keys_in_both() -> None:
    stored = {"name": "quick_start", "metadata.rpc.keepalive": 5000, "containers": [{"image": "app:1"}]}

    merged = merge_update(stored, '{"metadata.rpc.keepalive": 7000, "metadata.rpc.io_threads": null}')

    assert merged["metadata"] == {"name": "quick_start", "rpc": {"keepalive": 7000}}


def test_a_merge_may_repeat_the_name() -> None:
    assert merge_update(STORED, {"name": "quick_start"}) == STORED


def test_an_update_that_contradicts_itself_is_refused() -> None:
    with pytest.raises(InvalidSpec, match=r"^metadata\.cpu: "):
        merge_update(STORED, {"metadata": {"cpu": 1}, "metadata.cpu": None})


def test_an_update_that_is_no_json_is_refused() -> None:
    with pytest.raises(InvalidSpec, match=r"^\$: "):
        merge_update(STORED, "{")


def test_a_replacement_keeps_nothing_but_the_name() -> None:
    replaced = replace_update(STORED, {"containers": [{"image": "app:2"}]})

    assert replaced == {"metadata": {"name": "quick_start"}, "containers": [{"image": "app:2"}]}


def test_a_replacement_may_name_itself() -> None:
    replaced = replace_update(STORED, {"name": "another", "containers": [{"image": "app:2"}]})

    assert parse_service(replaced).spec.name == "another"


def test_an_update_leaves_what_is_stored_alone() -> None:
    before = dump_service(parse_service(STORED).spec)

    merge_update(STORED, {"metadata": {"rpc": {"keepalive": 1}}, "labels": {"team": None}})

    assert dump_service(parse_service(STORED).spec) == before
