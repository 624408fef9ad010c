"""What programs may post, how long it counts, and where they post it."""

import json
from pathlib import Path
from typing import Any

import pytest

from services.agent.telemetry.address import PATH, PostAddress, kept_address
from services.agent.telemetry.posted import MOST_SERIES, VALID_FOR, Posted, Refused, Value, values_of

DECLARED = {"tokens": frozenset({"model", "user"}), "queue": frozenset[str]()}


class Clock:
    """Stands until it is set on."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def posted(*entries: Any) -> list[Value]:
    return values_of(json.dumps(entries).encode(), DECLARED)


def a_value(value: float = 1.0, name: str = "tokens", **tags: str) -> Value:
    return Value(name, tuple(sorted(tags.items())), value)


def test_values_have_a_name_tags_and_a_number() -> None:
    found = posted(
        {"name": "tokens", "tags": {"user": "u", "model": "m"}, "value": 2}, {"name": "queue", "value": 0.5}
    )

    assert found == [a_value(2.0, model="m", user="u"), a_value(0.5, "queue")]


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        (
            {"name": "cost", "value": 1},
            '[0].name: got "cost", expected one of metrics in service.json: tokens, queue',
        ),
        ({"value": 1}, "[0].name: got null, expected one of metrics in service.json: tokens, queue"),
        ({"name": "tokens", "value": "1"}, '[0].value: got "1", expected a number'),
        ({"name": "tokens", "value": True}, "[0].value: got true, expected a number"),
        ({"name": "tokens", "value": float("nan")}, "[0].value: got NaN, expected a number"),
        ({"name": "tokens"}, "[0].value: got null, expected a number"),
        ({"name": "tokens", "tags": "a", "value": 1}, '[0].tags: got "a", expected an object'),
        (
            {"name": "tokens", "tags": {"zone": "a"}, "value": 1},
            '[0].tags: got "zone", expected a tag of tokens in service.json: model, user',
        ),
        (
            {"name": "queue", "tags": {"model": "a"}, "value": 1},
            '[0].tags: got "model", expected a tag of queue in service.json: none',
        ),
        (
            {"name": "tokens", "tags": {"model": 3}, "value": 1},
            "[0].tags.model: got 3, expected a text of 128 characters at most",
        ),
        (
            {"name": "tokens", "tags": {"model": "\ud800"}, "value": 1},
            '[0].tags.model: got "\ud800", expected a text of 128 characters at most',
        ),
        (
            {"name": "tokens", "value": 10**400},
            f"[0].value: got 1{59 * '0'}…, expected a number",
        ),
        (7, '[0]: got 7, expected {"name", "tags", "value"}'),
    ],
)
def test_what_is_refused_is_told_with_its_place(entry: Any, why: str) -> None:
    with pytest.raises(Refused) as refused:
        posted(entry)

    assert str(refused.value) == why


@pytest.mark.parametrize("body", [b"", b"{}", b"[1", b"\xff", b"[" * 200_000])
def test_a_body_that_is_no_array_is_refused(body: bytes) -> None:
    with pytest.raises(Refused, match="the body"):
        values_of(body, DECLARED)


def test_the_newest_value_of_a_name_and_tags_is_told_once() -> None:
    kept = Posted()
    kept.take("i-1", [a_value(1), a_value(2), a_value(3, model="a")])

    told = kept.untold()

    assert told == [("i-1", a_value(2)), ("i-1", a_value(3, model="a"))]
    assert kept.untold() == []


def test_whoever_listens_anew_is_told_what_still_counts() -> None:
    clock = Clock()
    kept = Posted(clock)
    kept.take("i-1", [a_value(1)])
    clock.now = VALID_FOR
    kept.take("i-1", [a_value(2, model="a")])
    kept.untold()
    clock.now += 1

    kept.tell_again()

    assert kept.untold() == [("i-1", a_value(2, model="a"))]


def test_an_instance_that_posts_too_many_tags_is_refused_and_keeps_what_it_had() -> None:
    kept = Posted()
    kept.take("i-1", [a_value(1)])

    with pytest.raises(Refused, match="101 different names and tags in a minute, expected 100 at most"):
        kept.take("i-1", [a_value(1, model=str(number)) for number in range(MOST_SERIES)])

    assert kept.untold() == [("i-1", a_value(1))]


def test_an_address_is_an_instance_s_own() -> None:
    address = PostAddress(30_000, b"key")

    url = address.url("i-1", "172.17.0.1")

    assert url.startswith(f"http://172.17.0.1:30000{PATH}/i-1/")
    path = url.removeprefix("http://172.17.0.1:30000")
    assert address.instance_of(path) == "i-1"
    assert address.instance_of(path.replace("i-1", "i-2")) is None
    assert address.instance_of(path[:-1]) is None
    assert address.instance_of(PATH) is None
    assert PostAddress(30_000, b"another").instance_of(path) is None


def test_addresses_are_the_same_after_a_restart(tmp_path: Path) -> None:
    first = kept_address(tmp_path / "agent")

    again = kept_address(tmp_path / "agent")

    assert again == first
    assert (
        kept_address(tmp_path / "agent", port=8900, host="fd00::1")
        .url("i-1", "")
        .startswith(f"http://[fd00::1]:8900{PATH}/i-1/")
    )
