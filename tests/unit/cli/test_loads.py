"""Curves of load from files and from Prometheus."""

from datetime import UTC, datetime, timedelta

import pytest

from cli.loads import check_columns, known_text, load_of_csv, load_of_curves
from cli.prometheus import points_of, query_of, step_of
from libs.domain.errors import InvalidRequest, Unavailable

MINUTE = timedelta(minutes=1)


def test_a_time_is_a_date_with_a_time_or_seconds() -> None:
    dates = load_of_csv("at,qps\n2030-01-31T12:00:00Z,1\n2030-01-31T12:00:01Z,2\n", "a.csv").points
    seconds = load_of_csv("seconds,qps\n0,1\n1.5,2\n", "a.csv").points
    since_1970 = load_of_csv("time,qps\n1900000000,1\n1900000001,2\n", "a.csv").points

    assert load_of_csv("seconds,qps\n0,1\n5,2\n", "a.csv").zero is not None
    assert load_of_csv("time,qps\n1900000000,1\n1900000001,2\n", "a.csv").zero is None
    assert dates[0].at == datetime(2030, 1, 31, 12, tzinfo=UTC)
    assert seconds[1].at - seconds[0].at == timedelta(seconds=1.5)
    assert since_1970[0].at == datetime.fromtimestamp(1_900_000_000, UTC)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "--replay: got 'a.csv', expected a CSV file whose first line is a time and measures, "),
        ("qps\n1\n", "--replay: got 'a.csv', expected a CSV file whose first line is a time and measures, "),
        ("at,qps\n0,1\n", "--replay: got 'a.csv', expected at least two lines with numbers below the first"),
        ("at,qps\n0,1\n1,many\n", "--replay: got 'many', expected a number of 0 or more (a.csv, line 3)"),
        ("at,qps\n0,1\n1,-1\n", "--replay: got '-1', expected a number of 0 or more (a.csv, line 3)"),
        (
            "at,qps\n0,1\n1,2,3\n",
            "--replay: got '3', expected no more cells than in the first line (a.csv, line 3)",
        ),
        ("at,qps,qps\n0,1\n1,2\n", "--replay: got 'qps', expected each column once (a.csv, line 1)"),
        (
            "at,qps\n0,1\n9999999,2\n",
            "--replay: got '9999999', expected at most 31 days after the first time (a.csv, line 3)",
        ),
        (
            "at,qps\nnoon,1\n",
            "--replay: got 'noon', expected a time such as 2030-01-31T12:00:00Z",
        ),
        ("at,qps\nnan,1\n", "--replay: got 'nan', expected a time such as 2030-01-31T12:00:00Z"),
        ("at,qps\n1e30,1\n", "--replay: got '1e30', expected a time such as 2030-01-31T12:00:00Z"),
        (
            "at,qps\n5,1\n5,1\n",
            "--replay: got '5', expected a later time than on the line before (a",
        ),
    ],
)
def test_a_file_that_is_no_curve_is_refused_with_the_line(text: str, sentence: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        load_of_csv(text, "a.csv")

    assert str(refused.value).startswith(sentence)


def test_columns_and_metrics_that_do_not_meet_are_said_and_refused_where_none_does() -> None:
    points = load_of_csv("at,qps,foo,instances\n0,1,1,1\n1,2,2,1\n", "a.csv").points

    assert check_columns(points, ["qps", "rt[p99]"], {"instances"}, "a.csv") == [
        "a.csv: 'foo' is no metric of the policy, so that column is not used",
        "a.csv has no rt[p99]: while a metric is missing, nothing is scaled in",
    ]
    with pytest.raises(InvalidRequest) as refused:
        check_columns(points, ["cpu", "rt[p99]"], (), "a.csv")
    assert str(refused.value) == (
        "--replay: got 'a.csv with qps, foo, instances', "
        "expected a column for a metric of the policy: cpu, rt[p99]"
    )
    assert len(check_columns(points, [], (), "a.csv")) == 3


def test_much_less_than_was_asked_for_is_said() -> None:
    points = load_of_csv("at,qps\n0,1\n30,2\n", "a.csv").points

    assert known_text(points, 10 * MINUTE) == "of the last 10m only 30s are known, and played"
    assert known_text(points, timedelta(seconds=35)) == ""


def test_curves_of_several_measures_are_one_load() -> None:
    first, second = datetime.fromtimestamp(1, UTC), datetime.fromtimestamp(2, UTC)

    load = load_of_curves({"qps": [(second, 2.0), (first, 1.0)], "cpu": [(second, 50.0)]})

    assert [(each.at, each.values) for each in load] == [
        (first, {"qps": 1.0}),
        (second, {"qps": 2.0, "cpu": 50.0}),
    ]


def test_measures_are_asked_of_prometheus_by_their_stable_names() -> None:
    assert query_of("qps", "llm", MINUTE) == 'sum(rate(easel_service_requests_total{service="llm"}[60s]))'
    assert query_of("rt[p99]", "llm", MINUTE) == (
        "1000 * histogram_quantile(0.99, sum by(le) "
        '(rate(easel_service_request_duration_seconds_bucket{service="llm"}[60s])))'
    )
    assert query_of("custom[tokens]@model[x]", "llm", MINUTE) == (
        'avg(easel_custom{service="llm",name="tokens",tags=~"(.*,)?model=x(,.*)?"})'
    )
    assert 'code_class="5xx"' in query_of("errors", "llm", MINUTE)
    assert query_of("gpu", "llm", MINUTE) == query_of("gpu[util]", "llm", MINUTE)
    with pytest.raises(InvalidRequest, match="expected a measure that Prometheus has"):
        query_of("power", "llm", MINUTE)


def test_every_name_that_prometheus_is_asked_for_is_in_the_catalogue() -> None:
    import re

    from cli.prometheus import _QUERIES
    from services.metrics.catalogue import BY_NAME

    asked = [
        query_of(measure, "llm", MINUTE) for measure in (*_QUERIES, "rt[p50]", "custom[a]", "status[2xx]")
    ]
    names = {name for query in asked for name in re.findall(r"easel_[a-z_]+", query)}

    assert {re.sub(r"_(total|bucket|sum|count)$", "", name) for name in names} <= set(BY_NAME)


def test_prometheus_is_asked_for_no_more_points_than_it_answers_with() -> None:
    assert step_of(timedelta(hours=6)) == timedelta(seconds=15)
    assert timedelta(days=30) / step_of(timedelta(days=30)) <= 3_000


def test_what_is_no_answer_of_prometheus_is_said() -> None:
    with pytest.raises(Unavailable, match="answered 400: bad_data"):
        points_of('{"status": "error", "error": "bad_data"}', 400, "http://p")
    with pytest.raises(Unavailable, match="answered 200, and not as Prometheus does"):
        points_of("<html>", 200, "http://p")
    assert points_of('{"status": "success", "data": {"result": []}}', 200, "http://p") == []
