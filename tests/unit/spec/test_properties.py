"""What holds for every document, good or bad."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from libs.domain.errors import InvalidSpec
from libs.spec import dump_service, merge_update, not_carried_out, parse_service, replace_update
from tests.unit.spec.strategies import GOOD_SERVICES, JSON, SHAPED


def outcome(document: Any) -> str:
    """`accepted`, or the sentence of the refusal; anything else is a failure of the test."""
    try:
        parse_service(document)
    except InvalidSpec as refusal:
        return str(refusal)
    return "accepted"


@given(GOOD_SERVICES)
def test_what_was_parsed_can_be_written_and_parsed_again_to_the_same(document: dict[str, Any]) -> None:
    parsed = parse_service(document)

    written = dump_service(parsed.spec)

    assert parse_service(json.dumps(written)) == parsed
    assert dump_service(parse_service(written).spec) == written


@given(GOOD_SERVICES)
def test_a_good_document_is_told_about_at_places_it_has(document: dict[str, Any]) -> None:
    for notice in not_carried_out(parse_service(document).spec):
        assert notice.path != "$"
        assert notice.message


@given(st.binary(max_size=64) | st.text(max_size=64))
def test_no_bytes_and_no_text_raise_anything_but_a_refusal(document: bytes | str) -> None:
    assert "\n" not in outcome(document)


@given(JSON)
def test_no_json_raises_anything_but_a_refusal(document: Any) -> None:
    assert "\n" not in outcome(json.dumps(document))
    assert "\n" not in outcome(document)


@settings(max_examples=300)
@given(SHAPED)
def test_no_object_with_the_keys_of_a_service_raises_anything_but_a_refusal(document: dict[str, Any]) -> None:
    named = {"name": "some_service", "containers": [{"image": "app:1"}], **document}

    assert "\n" not in outcome(document)
    assert "\n" not in outcome(named)


@given(GOOD_SERVICES, SHAPED)
def test_merging_the_same_change_twice_is_merging_it_once(stored: dict[str, Any], change: Any) -> None:
    try:
        once = merge_update(stored, change)
    except InvalidSpec:
        return

    assert merge_update(once, change) == once


@given(GOOD_SERVICES)
def test_merging_a_document_into_itself_changes_nothing(document: dict[str, Any]) -> None:
    stored = dump_service(parse_service(document).spec)

    assert parse_service(merge_update(stored, stored)).spec == parse_service(document).spec
    assert merge_update(stored, {}) == stored
    assert replace_update({}, stored) == stored


def test_a_mapping_that_contains_itself_is_refused() -> None:
    endless: dict[str, Any] = {}
    endless["again"] = [endless]

    assert "levels of nesting" in outcome(endless)


def test_a_mapping_of_other_things_than_json_is_refused() -> None:
    assert outcome({"metadata": object()}) == "metadata: got a Python object, expected a JSON value"
    assert outcome({1: 2}) == "$: got a key of type int, expected an object whose keys are text"
    assert outcome(17) == "$: got 17, expected a JSON object"
