"""`easel autoscale --dry-run`: what a policy would have done."""

import json
from pathlib import Path
from typing import Any

import pytest

from easel.autoscaler.v1 import autoscaler_pb2
from tests.support.command_line import CommandLine
from tests.support.fake_admin import FakeAdmin
from tests.support.fake_admin_scaling import at

POLICY: dict[str, Any] = {"min": 1, "max": 4, "scaleStrategies": [{"metricName": "qps", "threshold": 10}]}


@pytest.fixture(autouse=True)
def a_service(fake: FakeAdmin) -> None:
    fake.create('{"name": "llm", "metadata": {"instance": 2}}', "")


def written(tmp_path: Path, value: object) -> str:
    path = tmp_path / "policy.json"
    path.write_text(json.dumps(value))
    return str(path)


def a_replay() -> autoscaler_pb2.ReplayResponse:
    steps = [
        autoscaler_pb2.ReplayStep(at=at(1_900_000_000), instances=1, policy="", why="the beginning"),
        autoscaler_pb2.ReplayStep(at=at(1_900_000_010), instances=3, policy="burst", why="qps is 30"),
    ]
    return autoscaler_pb2.ReplayResponse(
        steps=steps, instance_hours=0.5, seconds_over_target=12, least_instances=1, most_instances=3
    )


def test_a_policy_is_tried_on_a_curve_from_a_file(
    easel: CommandLine, fake: FakeAdmin, tmp_path: Path
) -> None:
    fake.scaling.replayed = a_replay()
    curve = tmp_path / "curve.csv"
    curve.write_text("at,qps,cpu\n1900000000,5,\n1900000010,30,80\n")
    given = ("-f", written(tmp_path, {**POLICY, "min": 2}), "--replay", str(curve), "--start-seconds", "4")

    ran = easel("autoscale", "llm", "--dry-run", *given)

    (request,) = fake.scaling.replays
    assert (request.instances, request.start_s, len(fake.scaling.merges)) == (2, 4.0, 0)
    assert [dict(point.values) for point in request.load] == [{"qps": 5.0}, {"qps": 30.0, "cpu": 80.0}]
    assert request.load[1].at.seconds - request.load[0].at.seconds == 10
    lines = [line.split() for line in ran.out.splitlines()]
    assert ["instance-hours", "0.50"] in lines and ["seconds", "over", "target", "12"] in lines
    assert ["2030-03-17", "17:46:50Z", "3", "burst", "qps", "is", "30"] in lines
    played = easel("autoscale", "replay", "llm", *given, "--instances", "7", "-o", "json").value
    assert played["most_instances"] == 3 and fake.scaling.replays[-1].instances == 7


def test_a_load_in_seconds_is_played_in_seconds(easel: CommandLine, fake: FakeAdmin, tmp_path: Path) -> None:
    zero = 1_000_000_000
    fake.scaling.replayed = autoscaler_pb2.ReplayResponse(
        steps=[autoscaler_pb2.ReplayStep(at=at(zero + 120), instances=3, policy="burst", why="qps is 30")]
    )
    curve = tmp_path / "curve.csv"
    curve.write_text("seconds,qps,foo\n0,5,\n120,30,1\n")
    given = ("-f", written(tmp_path, POLICY), "--replay", str(curve))

    ran = easel("autoscale", "llm", "--dry-run", *given)

    assert ["+120", "s", "3", "burst", "qps", "is", "30"] in [line.split() for line in ran.out.splitlines()]
    assert "'foo' is no metric of the policy, so that column is not used" in ran.err
    (step,) = easel("autoscale", "replay", "llm", *given, "-o", "json").value["steps"]
    assert (step["seconds"], "at" in step) == (120.0, False)
    curve.write_text("seconds,foo\n0,5\n120,30\n")
    refused = easel("autoscale", "llm", "--dry-run", *given)
    assert refused.code == 4 and "with foo', expected a column for a metric of the policy: qps" in refused.err


def test_a_length_that_cannot_be_played_is_refused_by_the_name_of_the_option(easel: CommandLine) -> None:
    refused = easel("autoscale", "llm", "--dry-run", "--replay", "last:0m")

    assert refused.code == 2 and "--replay: got 'last:0m', expected last:1s to last:31d" in refused.err


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (
            ("--dry-run", "--replay", "lasst:10m"),
            "--replay: got 'lasst:10m', expected last:LENGTH or a CSV file; did you mean last:10m?",
        ),
        (
            ("--dry-run", "--replay", "10m"),
            "--replay: got '10m', expected last:LENGTH or a CSV file; did you mean last:10m?",
        ),
        (
            ("--dry-run", "--prometheus", "127.0.0.1:9090"),
            "--prometheus: got '127.0.0.1:9090', expected a URL such as http://127.0.0.1:9090",
        ),
        (("--replay", "last:10m"), "--replay plays a load only with --dry-run, which changes nothing"),
        (("-f", "p.json", "--dry"), "--dry plays a load only with --dry-run, which changes nothing"),
    ],
)
def test_what_was_nearly_a_replay_is_answered_with_how_to_have_one(
    easel: CommandLine, given: tuple[str, ...], sentence: str
) -> None:
    refused = easel("autoscale", "llm", *given)

    assert (refused.code, refused.err) == (2, f"easel: {sentence}\n")


def test_the_policy_that_is_there_is_tried_on_the_last_hour(
    easel: CommandLine, fake: FakeAdmin, tmp_path: Path
) -> None:
    easel("autoscale", "llm", "-f", written(tmp_path, POLICY))
    fake.scaling.series = {("service", "llm", "qps"): [(1_900_000_000, 1.0), (1_900_000_010, 2.0)]}
    fake.scaling.replayed = a_replay()

    ran = easel("autoscale", "llm", "--dry-run", "--replay", "last:30m")

    assert ran.code == 0
    assert fake.scaling.asked[-1].last_s == 1800
    assert [dict(point.values) for point in fake.scaling.replays[0].load] == [{"qps": 1.0}, {"qps": 2.0}]
    assert json.loads(fake.scaling.replays[0].autoscaler_json) == POLICY


def test_a_metric_of_another_service_is_replayed_beside_the_services_own(
    easel: CommandLine, fake: FakeAdmin, tmp_path: Path
) -> None:
    of_front = {"metricName": "qps", "threshold": 50, "service": "front"}
    policy = written(tmp_path, {**POLICY, "scaleStrategies": [*POLICY["scaleStrategies"], of_front]})
    fake.scaling.series = {
        ("service", "llm", "qps"): [(1_900_000_000, 1.0)],
        ("service", "front", "qps"): [(1_900_000_000, 90.0)],
    }
    fake.scaling.replayed = a_replay()

    easel("autoscale", "llm", "--dry-run", "-f", policy, "--replay", "last:30m")

    (point,) = fake.scaling.replays[0].load
    assert dict(point.values) == {"qps": 1.0, "qps of front": 90.0}


@pytest.mark.parametrize(
    ("last", "step"), [("last:5m", 1), ("last:1h", 10), ("last:6h", 60), ("last:24h", 60)]
)
def test_the_load_is_read_as_finely_as_it_is_kept(
    easel: CommandLine, fake: FakeAdmin, tmp_path: Path, last: str, step: int
) -> None:
    fake.scaling.series = {("service", "llm", "qps"): [(1_900_000_000, 1.0), (1_900_000_060, 2.0)]}
    fake.scaling.replayed = a_replay()

    easel("autoscale", "llm", "--dry-run", "-f", written(tmp_path, POLICY), "--replay", last)

    assert fake.scaling.asked[-1].step_s == step
    assert len(fake.scaling.replays[0].load) == 2


def test_more_than_metrics_keeps_is_read_from_prometheus_or_refused(
    easel: CommandLine, fake: FakeAdmin, tmp_path: Path
) -> None:
    from tests.support.recording_http import recording_http

    policy = written(tmp_path, POLICY)
    refused = easel("autoscale", "llm", "--dry-run", "-f", policy, "--replay", "last:7d")
    assert refused.code == 4
    assert "--replay: got 'last:7d', expected 1 to 86400 seconds; what is older is kept by a" in refused.err

    fake.scaling.replayed = a_replay()
    matrix = {
        "resultType": "matrix",
        "result": [{"metric": {}, "values": [[100, "5"], [115, "NaN"], [130, "7"]]}],
    }
    with recording_http() as prometheus:
        prometheus.body = json.dumps({"status": "success", "data": matrix}).encode()
        ran = easel(
            *("autoscale", "llm", "--dry-run", "-f", policy, "--replay", "last:7d"),
            *("--prometheus", prometheus.url),
        )

    assert ran.code == 0
    assert prometheus.asked[0].path.startswith("/api/v1/query_range")
    assert [point.at.seconds for point in fake.scaling.replays[0].load] == [100, 130]


def test_a_time_in_which_nothing_was_measured_is_said(easel: CommandLine, tmp_path: Path) -> None:
    policy = written(tmp_path, POLICY)

    nothing = easel("autoscale", "llm", "--dry-run", "-f", policy)
    unknown = easel("autoscale", "gone", "--dry-run", "-f", policy)

    assert nothing.code == 4 and "nothing was measured of llm in that time" in nothing.err
    assert unknown.code == 3


def test_a_metric_that_nobody_measures_is_said_and_the_others_are_played(
    easel: CommandLine, fake: FakeAdmin, tmp_path: Path
) -> None:
    easel("autoscale", "llm", "-f", written(tmp_path, {**POLICY, "strategies": {"foo": 3}}))
    fake.scaling.unmeasured = {"foo"}
    fake.scaling.series = {("service", "llm", "qps"): [(1_900_000_000, 1.0), (1_900_000_030, 2.0)]}
    fake.scaling.replayed = a_replay()

    ran = easel("autoscale", "llm", "--dry-run", "--replay", "last:10m")

    assert (ran.code, ran.err) == (
        0,
        "warning: foo is no metric: it is missing all the time, and nothing is scaled in\n"
        "warning: of the last 10m only 30s are known, and played\n",
    )
