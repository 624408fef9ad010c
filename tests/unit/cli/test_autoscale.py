"""`easel autoscale` and `easel cronscale`: policies and schedules, in EAS's form and with verbs."""

import json
from pathlib import Path
from typing import Any

import pytest

from cli.policies import policy_change, strategies_of
from cli.service_first import verb_for
from easel.admin.v1 import admin_pb2
from easel.admin.v1 import scaling_pb2 as pb
from libs.domain.errors import InvalidRequest, Unavailable
from tests.support.command_line import CommandLine
from tests.support.fake_admin import FakeAdmin, now

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


def test_a_policy_without_a_metric_moves_by_no_load(easel: CommandLine) -> None:
    assert easel("autoscale", "llm", "-Dmin=2").err == "llm has 2 to 10 instances from now on\n"


def test_a_region_is_one_word_before_the_service(easel: CommandLine) -> None:
    for name in ("a/b/llm", "llm/"):
        refused = easel("autoscale", name, "-Dmin=2")
        sentence = f"easel: SERVICE: got {name!r}, expected a service, or REGION/SERVICE\n"
        assert (refused.code, refused.err) == (2, sentence)


def test_a_policy_is_shown_with_the_windows_in_force(easel: CommandLine, tmp_path: Path) -> None:
    easel("autoscale", "llm", "-f", written(tmp_path, POLICY))
    awake = [" ".join(line.split()) for line in easel("autoscale", "llm").out.splitlines()]
    changed = {"burst": {"enabled": False}, "scaleDown": {"stabilizationWindowSeconds": 60}}
    easel("autoscale", "llm", "-f", written(tmp_path, {**POLICY, "min": 0, "behavior": changed}))
    asleep = [" ".join(line.split()) for line in easel("autoscale", "llm").out.splitlines()]

    assert awake[2:5] == [
        "measured over 30 s",
        "windows 0 s up, 300 s down",
        "burst 200% of what there is over 3 s",
    ]
    assert not any(line.startswith("sleeps") for line in awake)
    assert asleep[3:6] == [
        "windows 0 s up, 60 s down",
        "burst off",
        "sleeps after 600 s without a request; wakes to 1, holds up to 1000 requests, 256 MiB, 300 s each",
    ]


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


def test_a_policy_that_nobody_carries_out_is_shown_with_a_warning(
    easel: CommandLine, fake: FakeAdmin, tmp_path: Path
) -> None:
    easel("autoscale", "llm", "-f", written(tmp_path, POLICY))
    away = admin_pb2.Finding(cause="AutoscalerAway", what="the autoscaler is away")
    fake.findings["llm"] = [admin_pb2.Finding(cause="TooFew", what="1 of 2"), away]

    ran = easel("autoscale", "llm")

    assert (ran.code, ran.err) == (0, "warning: the autoscaler is away\n")
    assert "1 to 4" in ran.out


def test_a_metric_that_nobody_measures_leaves_the_others_known(
    easel: CommandLine, fake: FakeAdmin, tmp_path: Path
) -> None:
    easel("autoscale", "llm", "-f", written(tmp_path, {**POLICY, "strategies": {"foo": 3}}))
    fake.scaling.autoscalers["llm"].waiting = 1
    fake.scaling.unmeasured = {"foo"}
    fake.scaling.numbers = {("service", "llm", "qps"): 15.0}

    shown = easel("autoscale", "llm")

    rows = [line.split() for line in shown.out.splitlines()]
    assert ["qps", "7.5/s", "10/s"] in rows and ["foo", "unknown", "3"] in rows
    assert ["waiting", "1", "request"] in rows and shown.err == ""


def test_a_service_that_is_stopped_is_shown_so(easel: CommandLine, tmp_path: Path) -> None:
    easel("autoscale", "llm", "-f", written(tmp_path, POLICY))
    assert "stopped" not in easel("autoscale", "llm").out

    easel("stop", "llm")

    assert easel("scale", "llm", "3").err == (
        "llm is stopped: it has 3 instances once it is started, by `easel start llm`\n"
    )
    assert "stopped: its size is left alone until `easel start llm`" in easel("autoscale", "llm").out


def test_a_size_by_hand_is_warned_of_where_it_may_not_last(easel: CommandLine, tmp_path: Path) -> None:
    assert easel("scale", "llm", "3").err == "llm goes to 3 instances\n"
    easel("autoscale", "llm", "-f", written(tmp_path, POLICY))

    assert easel("scale", "llm", "2").err == (
        "warning: llm has an autoscaler: it may change the size again, from 1 to 4\nllm goes to 2 instances\n"
    )


def test_a_size_that_would_not_last_is_refused_and_not_waited_for(easel: CommandLine, tmp_path: Path) -> None:
    easel("autoscale", "llm", "-f", written(tmp_path, POLICY))

    beyond = easel("scale", "llm", "9", "--wait")

    assert (beyond.code, beyond.out) == (4, "")
    assert beyond.err == "easel: instances: got 9, expected 1 to 4, within which its autoscaler keeps it\n"


def test_an_empty_file_is_no_policy(easel: CommandLine, fake: FakeAdmin) -> None:
    refused = easel("autoscale", "llm", "-f", "/dev/null")

    assert refused.code == easel("cronscale", "llm", "-s", "/dev/null").code == 4
    assert "expected a JSON object" in refused.err and not fake.scaling.autoscalers
    assert easel("autoscale", "llm", "--dry-run", "-f", "/dev/null").code == 4


def test_policies_are_listed_and_removed(easel: CommandLine, tmp_path: Path) -> None:
    assert easel("autoscale", "ls").err == "no service changes its size by itself\n"
    easel("autoscale", "llm", "-f", written(tmp_path, POLICY))

    row = easel("autoscale", "ls").out.splitlines()[1]

    assert row.split()[:7] == ["llm", "1", "4", "2", "2", "0", "qps=10"]
    assert easel("autoscale", "rm", "llm").err == "llm does not change its size by its load any more\n"
    assert easel("autoscale", "llm").code == 3


def test_the_history_says_what_was_measured_and_why(easel: CommandLine, fake: FakeAdmin) -> None:
    assert easel("autoscale", "history", "llm").err == "the size of llm was never changed\n"
    assert easel("autoscale", "history", "gone").code == easel("cronscale", "history", "gone").code == 3
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


def test_numbers_below_0_are_refused_by_the_option_that_was_typed(easel: CommandLine) -> None:
    few = easel("autoscale", "history", "llm", "-n", "-1")
    below = easel("scale", "llm", "-3")

    assert (few.code, few.err) == (2, "easel: -n/--most: got '-1', expected at least 1\n")
    assert (below.code, below.err) == (2, "easel: `easel scale` takes no number below 0, such as -3\n")


def test_a_schedule_of_which_no_time_is_to_come_is_said_so(
    easel: CommandLine, fake: FakeAdmin, tmp_path: Path
) -> None:
    fake.scaling.next_run_s = None

    ran = easel("cronscale", "llm", "-s", written(tmp_path, SCHEDULE))

    assert ran.err == "llm has a schedule; it is due no more: all of its times have passed\n"


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
