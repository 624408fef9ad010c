"""`-D PATH=VALUE`: what a number in a path means."""

import pytest

from cli.values import reaches_into_arrays, spelled_out, value_of
from libs.domain.errors import InvalidRequest

SPEC = {
    "containers": [{"image": "a:1", "env": [{"name": "A", "value": "1"}]}],
    "metadata": {"instance": 2},
    "labels": {"7": "seven"},
}


def test_a_value_is_json_where_it_can_be_and_else_the_text_itself() -> None:
    assert [value_of(text) for text in ("3", "true", '"3"', "40Gi", "null")] == [3, True, "3", "40Gi", None]


def test_a_path_through_objects_stays_as_it_is() -> None:
    assert not reaches_into_arrays({"metadata.instance": 3})
    assert spelled_out({"metadata.instance": 3}, SPEC) == {"metadata.instance": 3}


@pytest.mark.parametrize("path", ["containers.0.image", "containers[0].image"])
def test_a_number_in_a_path_is_an_entry_of_the_array_which_is_sent_whole(path: str) -> None:
    made = spelled_out({path: "a:2"}, SPEC)

    assert made == {"containers": [{"image": "a:2", "env": [{"name": "A", "value": "1"}]}]}
    assert SPEC["containers"][0]["image"] == "a:1"  # type: ignore[index]


def test_several_values_go_into_one_array() -> None:
    made = spelled_out({"containers.0.image": "a:2", "containers.0.env.0.value": "2"}, SPEC)

    assert made == {"containers": [{"image": "a:2", "env": [{"name": "A", "value": "2"}]}]}


def test_the_number_after_the_last_adds_an_entry_and_null_removes_one() -> None:
    added = spelled_out({"containers.0.env.1": {"name": "B", "value": "2"}}, SPEC)
    removed = spelled_out({"containers.0.env.0": None}, SPEC)

    assert [each["name"] for each in added["containers"][0]["env"]] == ["A", "B"]  # type: ignore[index]
    assert removed == {"containers": [{"image": "a:1", "env": []}]}


def test_entry_0_makes_an_array_that_is_not_there_yet() -> None:
    made = spelled_out({"storage.0.mount_path": "/x", "containers.0.args.0": "-v"}, SPEC)

    assert made["storage"] == [{"mount_path": "/x"}]
    assert made["containers"][0]["args"] == ["-v"]  # type: ignore[index]


def test_a_number_that_is_a_key_of_an_object_is_left_alone() -> None:
    assert spelled_out({"labels.7": "sieben"}, SPEC) == {"labels.7": "sieben"}
    assert spelled_out({"labels.7": "sieben"}, {}) == {"labels.7": "sieben"}


def test_an_entry_that_is_not_there_is_refused_with_what_there_is() -> None:
    with pytest.raises(InvalidRequest, match=r"expected an entry from 0 to 1 instead of '5'"):
        spelled_out({"containers.5.image": "a:2"}, SPEC)
    with pytest.raises(InvalidRequest, match=r"expected an array at storage; there is none, so begin with 0"):
        spelled_out({"storage.1.mount_path": "/x"}, SPEC)
    with pytest.raises(InvalidRequest, match=r"an object or an array before 'deeper'"):
        spelled_out({"args.0.deeper": 1}, {"args": ["text"]})


def test_an_array_with_hidden_values_keeps_its_length() -> None:
    spec = {"storage": [{"git": {"password": "********"}}]}

    with pytest.raises(InvalidRequest, match="has values that are not shown"):
        spelled_out({"storage.1": {"empty_dir": {}}}, spec)
    assert spelled_out({"storage.0.mount_path": "/src"}, spec) == {
        "storage": [{"git": {"password": "********"}, "mount_path": "/src"}]
    }
