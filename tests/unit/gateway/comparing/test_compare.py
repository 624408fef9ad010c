"""In what answers differ: JSON by value, anything else by its bytes, and what cannot be told is said."""

import gzip
import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.comparing.compare import MOST_DIFFERENCES, compared
from services.gateway.comparing.sample import Answer

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=30,
)


def an_answer(body: bytes = b"", **changes: Any) -> Answer:
    return replace(Answer(200, body, timedelta(milliseconds=10), "application/json"), **changes)


def saying(value: Any, **changes: Any) -> Answer:
    return an_answer(json.dumps(value).encode(), **changes)


def turned_round(value: Any) -> Any:
    """The same value with the keys of its objects in another order."""
    if isinstance(value, dict):
        return {key: turned_round(value[key]) for key in reversed(value)}
    return [turned_round(each) for each in value] if isinstance(value, list) else value


def where(ours: Any, theirs: Any) -> tuple[str, ...]:
    return compared(saying(ours), saying(theirs)).where


@given(JSON)
def test_equal_json_never_differs_whatever_the_order_of_its_keys(value: Any) -> None:
    found = compared(saying(value), an_answer(json.dumps(turned_round(value), indent=2).encode()))

    assert found.same_body
    assert not found.any


@given(JSON, JSON)
def test_differences_are_the_same_seen_from_either_side(ours: Any, theirs: Any) -> None:
    assert bool(where(ours, theirs)) is bool(where(theirs, ours))


@given(st.binary(), st.binary())
def test_whatever_came_is_compared_and_the_lines_are_text(ours: bytes, theirs: bytes) -> None:
    found = compared(an_answer(ours), an_answer(theirs))

    assert "".join(found.where).encode() is not None
    assert found.same_body or found.where or found.untold


@pytest.mark.parametrize(
    ("ours", "theirs", "lines"),
    [
        ({"a": {"b": 1}}, {"a": {"b": 2}}, ("$.a.b: 1 → 2",)),
        ({"a": [1, 2]}, {"a": [1, 3]}, ("$.a[1]: 2 → 3",)),
        ({"a": [1]}, {"a": [1, 3]}, ("$.a[1]: nothing → 3",)),
        ({"a": 1}, {}, ("$.a: 1 → nothing",)),
        ({"a b": 1}, {"a b": 2}, ('$["a b"]: 1 → 2',)),
        (1, True, ("$: 1 → true",)),
        (0, None, ("$: 0 → null",)),
        ("1", 1, ('$: "1" → 1',)),
        ([], {}, ("$: [] → {}",)),
    ],
)
def test_a_difference_names_its_place_and_both_values(ours: Any, theirs: Any, lines: tuple[str, ...]) -> None:
    assert where(ours, theirs) == lines


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [(1, 1.0), (0.1 + 0.2, 0.3), (1e20, 1e20 + 1e10), (float("nan"), float("nan")), (10**400, 10**400)],
)
def test_numbers_that_differ_by_their_rounding_are_the_same(ours: float, theirs: float) -> None:
    assert where(ours, theirs) == ()


def test_numbers_that_differ_by_more_are_not() -> None:
    assert where(0.5, 0.5001) == ("$: 0.5 → 0.5001",)
    assert where(10**400, 1.5)


def test_there_is_a_bound_on_how_many_differences_are_told() -> None:
    assert len(where(list(range(1000)), list(range(1, 1001)))) == MOST_DIFFERENCES


def test_long_values_are_cut() -> None:
    [line] = where({"a": "x" * 10_000}, {"a": "y"})

    assert len(line) < 200


def test_halves_of_characters_do_not_end_in_text_that_cannot_be_sent() -> None:
    [line] = compared(an_answer(rb'{"\ud800": "\ud800"}'), an_answer(rb'{"\ud800": 1}')).where

    assert line.encode()


def test_what_is_nested_beyond_measure_is_compared_as_far_as_that_goes() -> None:
    deep = b"[" * 100_000 + b"]" * 100_000

    assert compared(an_answer(deep), an_answer(deep)).same_body
    assert compared(an_answer(deep), an_answer(b"[" + deep + b"]")).where


def test_other_content_is_compared_by_its_bytes() -> None:
    plain = an_answer(b"abc", content_type="text/plain")

    assert compared(plain, replace(plain, body=b"abc")).same_body
    assert compared(plain, replace(plain, body=b"abd")).where == ("3 bytes each, from byte 2 on",)
    assert compared(plain, replace(plain, body=b"abcd")).where == ("3 bytes → 4 bytes",)


def test_bodies_are_not_looked_at_where_the_status_differs() -> None:
    found = compared(saying(1), saying(1, status=500))

    assert (found.same_status, found.any, found.where) == (False, True, ("status: 200 → 500",))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"content_type": "text/event-stream; charset=utf-8"}, "a stream of events"),
        ({"whole": False}, "longer than what is kept of an answer"),
        ({"content_encoding": "br"}, "packed as br"),
        ({"content_encoding": "gzip"}, "packed as gzip"),
    ],
)
def test_what_cannot_be_compared_is_said_and_is_no_difference(change: dict[str, Any], why: str) -> None:
    for pair in ((saying(1, **change), saying(2)), (saying(2), saying(1, **change))):
        found = compared(*pair)

        assert (found.untold, found.any) == (why, False)


def test_a_packed_body_is_the_same_as_what_is_in_it() -> None:
    packed = an_answer(gzip.compress(b'{"a":1}'), content_encoding="gzip")

    assert compared(packed, saying({"a": 1})).same_body
    assert compared(packed, saying({"a": 2})).where == ("$.a: 1 → 2",)


def test_a_body_that_unpacks_to_more_than_can_be_held_is_not_compared() -> None:
    bomb = an_answer(gzip.compress(b" " * 64 * 1024 * 1024), content_encoding="gzip")

    assert compared(bomb, saying(1)).untold == "packed as gzip"


def test_how_much_longer_the_target_took_is_told_with_its_sign() -> None:
    found = compared(saying(1), saying(1, latency=timedelta(milliseconds=4)))

    assert found.later_by == timedelta(milliseconds=-6)
