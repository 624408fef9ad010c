"""MetricsService: what it refuses, and when a watch looks."""

from pathlib import Path

import pytest

from easel.metrics.v1 import metrics_pb2 as pb
from libs.domain.errors import InvalidRequest
from services.metrics.history import History
from services.metrics.measures import Kind
from services.metrics.metrics_servicer import asked_for, check_range, longest_of, next_look


def selector(**fields: object) -> pb.Selector:
    return pb.Selector(**{"measure": "qps", "kind": "service", **fields})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("selectors", "sentence"),
    [
        ([], "selectors: got 0, expected 1 to 100 of them"),
        ([selector()] * 101, "selectors: got 101, expected 1 to 100 of them"),
        (
            [selector(), selector(kind="pod")],
            "selectors[1].kind: got 'pod', expected one of service, ",
        ),
        ([selector(measure="x")], "selectors[0].measure: got 'x', expected a measure of kind service: "),
        ([selector(window_s=3601)], "selectors[0].window_s: got 3601, expected 0 to 3600 seconds"),
        ([selector(of_service="a")], "selectors[0].of_service: got 'a', expected nothing with kind service"),
    ],
)
def test_what_cannot_be_answered_is_refused_by_field_value_and_what_is_expected(
    selectors: list[pb.Selector], sentence: str
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        asked_for(selectors)

    assert str(refused.value).startswith(sentence)


@pytest.mark.parametrize(
    ("last", "step", "sentence"),
    [
        (0, 0, "last_s: got 0, expected 1 to 86400 seconds"),
        (86_401, 0, "last_s: got 86401, expected 1 to 86400 seconds"),
        (60, 86_401, "step_s: got 86401, expected 0 to 86400 seconds"),
        (3601, 10, "step_s: got 10, expected whole minutes for what is longer than 3600 s"),
    ],
)
def test_a_range_is_of_what_is_kept(last: int, step: int, sentence: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        check_range(pb.RangeRequest(last_s=last, step_s=step), longest=86_400)

    assert str(refused.value) == sentence


def test_a_range_has_a_bounded_number_of_points() -> None:
    month = 31 * 86_400

    check_range(pb.RangeRequest(last_s=month, step_s=13 * 60), longest=month)
    with pytest.raises(InvalidRequest, match="step_s: got 60, expected a step that makes 3600 points"):
        check_range(pb.RangeRequest(last_s=month, step_s=60), longest=month)


def test_only_services_are_known_for_longer_than_windows() -> None:
    history = History(Path(), minutes=24 * 60)

    assert {kind: longest_of(kind, history) for kind in Kind} == dict.fromkeys(Kind, 3600) | {
        Kind.SERVICE: 86_400
    }
    assert longest_of(Kind.SERVICE, History(Path(), minutes=0)) == 3600


def test_a_watch_looks_just_after_each_push_of_an_envoy() -> None:
    assert next_look(last=100.0, pushed=100.3, now=100.31) == pytest.approx(101.35)
    assert next_look(last=101.35, pushed=101.3, now=101.36) == pytest.approx(102.35)


def test_a_watch_looks_once_a_second_where_no_envoy_pushes() -> None:
    assert next_look(last=100.0, pushed=0.0, now=100.1) == 101.0
    assert next_look(last=100.0, pushed=0.0, now=105.0) == 105.0
