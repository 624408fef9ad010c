"""MetricsService: what it refuses, and when a watch looks."""

import pytest

from easel.metrics.v1 import metrics_pb2 as pb
from libs.domain.errors import InvalidRequest
from services.metrics.metrics_servicer import asked_for, check_range, next_look


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
        (0, 0, "last_s: got 0, expected 1 to 3600 seconds"),
        (3601, 0, "last_s: got 3601, expected 1 to 3600 seconds"),
        (60, 3601, "step_s: got 3601, expected 0 to 3600 seconds"),
    ],
)
def test_a_range_is_of_the_last_hour(last: int, step: int, sentence: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        check_range(pb.RangeRequest(last_s=last, step_s=step))

    assert str(refused.value) == sentence


def test_a_watch_looks_just_after_each_push_of_an_envoy() -> None:
    assert next_look(last=100.0, pushed=100.3, now=100.31) == pytest.approx(101.35)
    assert next_look(last=101.35, pushed=101.3, now=101.36) == pytest.approx(102.35)


def test_a_watch_looks_once_a_second_where_no_envoy_pushes() -> None:
    assert next_look(last=100.0, pushed=0.0, now=100.1) == 101.0
    assert next_look(last=100.0, pushed=0.0, now=105.0) == 105.0
