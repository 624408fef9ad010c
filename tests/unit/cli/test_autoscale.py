"""`easel autoscale` and `easel cronscale`: policies and schedules, in EAS's form and with verbs."""

import json
from pathlib import Path
from typing import Any

import pytest

from cli.policies import policy_change, strategies_of
from cli.service_first import verb_for
from easel.admin.v1 import scaling_pb2 as pb
from easel.autoscaler.v1 import autoscaler_pb2
from libs.domain.errors import InvalidRequest, Unavailable
from tests.support.command_line import CommandLine
from tests.support.fake_admin import FakeAdmin, now
from tests.support.fake_admin_scaling import at

POLICY: dict[str, Any] = {"min": 1, "max": 4, "scaleStrategies": [{"metricName": "qps", "threshold": 10}]}
SCHEDULE = {
    "ScaleJobs": [{"Name": "day", "Schedule": "0 0 8 * * *", "TargetSize": 4, "TimeZone": "Europe/Berlin"}],
    "ExcludeDates": ["* * * * * 6,0"],
}


@pytest.fixture(autouse=True)
def a_service(fake: FakeAdmin) -> None:
    fake.create('{"name": "llm", "metadata": {"instance": 2}}', "")


def written(tmp_path: Path, value: object) -> str:
    path = tmp_path / "policy.json"
    path.write_text(json.dumps(value))
    return str(path)


def test_a_service_before_any_verb_means_set_with_values_show_without_and_replay_to_try() -> None:
    assert verb_for(["llm"]) == "show" == verb_for(["llm", "-o", "json"])
    assert verb_for(["llm", "-Dmin=2"]) == verb_for(["llm", "-s", "p.json"]) == verb_for(["-f", "p", "llm"])
    assert verb_for(["llm", "-f", "p.json", "--dry-run"]) == "replay"


def test_values_are_merged_as_objects_and_dots_within_brackets_stay() -> None:
    values = {"min": 2, "strategies.custom[a.b]": 3, "behavior.scaleDown.stabilizationWindowSeconds": 60}

    assert policy_change(values, {}) == {
        "min": 2,
        "strategies": {"custom[a.b]": 3},
        "behavior": {"scaleDown": {"stabilizationWindowSeconds": 60}},
    }


def test_an_entry_of_an_array_is_put_into_the_whole_of_it() -> None:
    assert policy_change({"scaleStrategies.0.threshold": 20}, POLICY) == {
        "scaleStrategies": [{"metricName": "qps", "threshold": 20}]
    }
    added = {"scaleStrategies.1.metricName": "cpu", "scaleStrategies.1.threshold": 50}
    assert policy_change(added, POLICY)["scaleStrategies"][1] == {"metricName": "cpu", "threshold": 50}
    with pytest.raises(InvalidRequest, match="an entry from 0 to 1 instead of 5"):
        policy_change({"scaleStrategies.5.threshold": 1}, POLICY)


def test_both_forms_of_metrics_are_read() -> None:
    policy = {
        "strategies": {"qps": 5},
        "scaleStrategies": [{"metricName": "cpu", "threshold": 50, "service": "b"}],
    }

    assert strategies_of(policy) == [("cpu", 50.0, "b"), ("qps", 5.0, "")]


def test_a_policy_is_set_by_values_in_the_form_of_eas(easel: CommandLine, fake: FakeAdmin) -> None:
    ran = easel("autoscale", "cn-shanghai/llm", "-Dmin=2", "-D", "max=10", "-D", "strategies.qps=10")

    (request,) = fake.scaling.merges
    assert (request.service, request.merge) == ("llm", True)
    assert json.loads(request.policy_json) == {"min": 2, "max": 10, "strategies": {"qps": 10}}
    assert ran.err == "llm has 2 to 10 instances from now on, by its load\n"


def test_a_file_is_the_whole_policy(easel: CommandLine, fake: FakeAdmin, tmp_path: Path) -> None:
    ran = easel("autoscale", "set", "llm", "-s", written(tmp_path, {**POLICY, "x-a": 1}))

    assert fake.scaling.merges[0].merge is False
    assert ran.err.startswith("warning: x-a: unknown key, kept without effect\n")
    assert easel("autoscale", "set", "llm").code == 2
    assert easel("autoscale", "set", "gone", "-D", "min=1").code == 3


def test_a_policy_is_shown_with_its_metrics_for_each_instance_and_the_last_decision(
    easel: CommandLine, fake: FakeAdmin, tmp_path: Path
) -> None:
    strategies = [*POLICY["scaleStrategies"], {"metricName": "rt[p99]", "threshold": 200}]  # type: ignore[misc]
    easel("autoscale", "llm", "-f", written(tmp_path, {**POLICY, "scaleStrategies": strategies}))
    last = pb.Scaling(at=now(), service="llm", before=1, after=2, policy="horizontal", why="qps is 15 of 10")
    fake.scaling.autoscalers["llm"].last.CopyFrom(last)
    fake.scaling.autoscalers["llm"].waiting = 3
    fake.scaling.numbers = {("service", "llm", "qps"): 15.0, ("service", "llm", "rt[p99]"): 120.0}

    shown = easel("autoscale", "llm").out

    assert "1 to 4" in shown and "2 of 2 ready" in shown and "3 requests" in shown
    assert "qps is 15 of 10" in shown
    rows = [line.split() for line in shown.splitlines()]
    assert ["qps", "7.5/s", "10/s"] in rows and ["rt[p99]", "120", "ms", "200", "ms"] in rows
    assert fake.scaling.asked[-1].selectors[0].window_s == 30
    assert easel("autoscale", "show", "llm", "-o", "json").value["policy"]["max"] == 4


def test_a_policy_is_shown_also_when_nobody_measures(
    easel: CommandLine, fake: FakeAdmin, tmp_path: Path
) -> None:
    easel("autoscale", "llm", "-f", written(tmp_path, POLICY))
    fake.scaling.refuses = Unavailable("the metrics service at 127.0.0.1:8803 does not answer")

    ran = easel("autoscale", "llm")

    assert ran.code == 0 and "does not answer" in ran.err
    assert ["qps", "–", "10/s"] in [line.split() for line in ran.out.splitlines()]


def test_policies_are_listed_and_removed(easel: CommandLine, tmp_path: Path) -> None:
    assert easel("autoscale", "ls").err == "no service changes its size by itself\n"
    easel("autoscale", "llm", "-f", written(tmp_path, POLICY))

    row = easel("autoscale", "ls").out.splitlines()[1]

    assert row.split()[:7] == ["llm", "1", "4", "2", "2", "0", "qps=10"]
    assert easel("autoscale", "rm", "llm").err == "llm does not change its size by its load any more\n"
    assert easel("autoscale", "llm").code == 3


def test_the_history_says_what_was_measured_and_why(easel: CommandLine, fake: FakeAdmin) -> None:
    assert easel("autoscale", "history", "llm").err == "the size of llm was never changed\n"
    fake.scaling.scalings = [
        pb.Scaling(id=2, at=now(), service="llm", before=2, after=3, policy="timed", why="job day"),
        pb.Scaling(
            id=1,
            at=now(),
            service="llm",
            before=1,
            after=2,
            policy="burst",
            why="qps is 40",
            metric="qps",
            value=40,
            threshold=10,
        ),
    ]

    _, timed, burst = easel("autoscale", "history", "llm").out.splitlines()

    assert burst.split()[1:] == ["1", "2", "burst", "qps", "40/s", "10/s", "qps", "is", "40"]
    assert timed.split()[1:] == ["2", "3", "timed", "-", "-", "-", "job", "day"]
    assert len(easel("autoscale", "history", "llm", "-n", "1", "-o", "json").value) == 1
    only_timed = easel("cronscale", "history", "llm", "-o", "json").value
    assert [each["policy"] for each in only_timed] == ["timed"]


def test_a_schedule_is_set_shown_with_its_next_run_listed_and_removed(
    easel: CommandLine, tmp_path: Path
) -> None:
    ran = easel("cronscale", "llm", "-s", written(tmp_path, SCHEDULE))

    assert ran.err == "llm has a schedule; it is due next at 2030-03-17 17:46:40Z\n"
    shown = easel("cronscale", "llm")
    assert shown.out.splitlines()[1].split()[:10] == [
        *("day", "0", "0", "8", "*", "*", "*", "Europe/Berlin", "4", "Submitted")
    ]
    assert shown.err == "not on days of '* * * * * 6,0'\n"
    assert easel("cronscale", "ls").out.splitlines()[1].split()[:2] == ["llm", "day"]
    assert easel("cronscale", "rm", "llm").code == 0
    assert easel("cronscale", "llm").code == 3
    assert easel("cronscale", "set", "llm").code == 2


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
    curve.write_text("at,qps,cpu\n0,5,\n10,30,80\n")
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


def test_more_than_an_hour_is_read_from_prometheus_or_refused(
    easel: CommandLine, fake: FakeAdmin, tmp_path: Path
) -> None:
    from tests.support.recording_http import recording_http

    policy = written(tmp_path, POLICY)
    refused = easel("autoscale", "llm", "--dry-run", "-f", policy, "--replay", "last:6h")
    assert refused.code == 2 and "give --prometheus URL to read what is older from it" in refused.err

    fake.scaling.replayed = a_replay()
    matrix = {
        "resultType": "matrix",
        "result": [{"metric": {}, "values": [[100, "5"], [115, "NaN"], [130, "7"]]}],
    }
    with recording_http() as prometheus:
        prometheus.body = json.dumps({"status": "success", "data": matrix}).encode()
        ran = easel(
            *("autoscale", "llm", "--dry-run", "-f", policy, "--replay", "last:6h"),
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
