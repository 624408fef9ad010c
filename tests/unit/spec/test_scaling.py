"""Autoscalers and schedules: within a service.json and by themselves."""

import json
from typing import Any

import pytest

from libs.domain.errors import InvalidSpec
from libs.spec import parse_autoscaler, parse_cronscaler, parse_service, parse_stored
from libs.spec.scaling import merged_autoscaler


def refusal(document: dict[str, Any]) -> str:
    with pytest.raises(InvalidSpec) as refused:
        parse_autoscaler(document)
    return str(refused.value)


def cron_refusal(document: dict[str, Any]) -> str:
    with pytest.raises(InvalidSpec) as refused:
        parse_cronscaler(document)
    return str(refused.value)


def notices(document: dict[str, Any]) -> list[str]:
    return [str(each) for each in parse_autoscaler(document).warnings]


def a_job(**changes: Any) -> dict[str, Any]:
    return {"Name": "day", "Schedule": "0 0 8 * * *", "TargetSize": 5, **changes}


QPS = {"metricName": "qps", "threshold": 10}


def test_an_autoscaler_is_read_by_itself_with_its_defaults() -> None:
    scaler = parse_autoscaler(json.dumps({"min": 0, "max": 5, "scaleStrategies": [QPS]})).autoscaler

    assert (scaler.min, scaler.max, scaler.thresholds[0].metric_name) == (0, 5, "qps")
    assert scaler.behavior.measure_seconds == 30
    assert (scaler.behavior.burst.enabled, scaler.behavior.burst.window_seconds) == (True, 3)
    zero = scaler.behavior.on_zero
    assert (zero.hold_requests, zero.hold_mebibytes, zero.hold_seconds) == (1000, 256, 300)


def test_the_part_of_a_service_json_is_taken_out_of_its_wrapping() -> None:
    assert parse_autoscaler({"autoscaler": {"max": 4}}).autoscaler.max == 4
    assert parse_cronscaler({"cronScaler": {"ScaleJobs": [a_job()]}}).cronscaler.scale_jobs[0].name == "day"


def test_of_a_whole_service_json_the_part_is_taken_and_not_the_defaults_set() -> None:
    part = {"min": 2, "max": 4, "scaleStrategies": [QPS]}
    whole = {"metadata": {"name": "chat"}, "autoscaler": part, "cronScaler": {"ScaleJobs": [a_job()]}}

    assert parse_autoscaler(whole).autoscaler == parse_autoscaler(part).autoscaler
    assert not notices(whole)
    assert merged_autoscaler({"min": 1, "max": 9}, whole) == {**part}
    assert parse_cronscaler(whole).cronscaler.scale_jobs[0].target_size == 5


def test_what_wraps_a_part_and_is_one_is_told_so() -> None:
    assert "autoscaler.autoscaler: unknown key" in notices({"autoscaler": {"min": 2}, "min": 1})[0]


def test_both_forms_of_thresholds_count() -> None:
    scaler = parse_autoscaler({"strategies": {"cpu": 50}, "scaleStrategies": [QPS]}).autoscaler

    assert {each.metric_name: each.threshold for each in scaler.thresholds} == {"qps": 10, "cpu": 50}


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        ({"min": 5, "max": 3}, "autoscaler.max: got 3, expected at least autoscaler.min, 5"),
        ({"max": 0}, "autoscaler.max: got 0, expected an integer from 1 to 3000"),
        ({"max": 3001}, "autoscaler.max: got 3001, expected an integer from 1 to 3000"),
        ({"min": -1}, "autoscaler.min: got -1, expected an integer from 0 to 3000"),
        ({"strategies": {"qps": 0}}, "autoscaler.strategies.qps: got 0, expected a threshold above 0"),
        (
            {"scaleStrategies": [{**QPS, "threshold": -2}]},
            "autoscaler.scaleStrategies[0].threshold: got -2, expected a threshold above 0",
        ),
        (
            {"scaleStrategies": [{**QPS, "metricName": "qps["}]},
            "autoscaler.scaleStrategies[0].metricName: got 'qps[', "
            "expected a metric such as qps, rt[p99] or custom[NAME]@TAG[VALUE]",
        ),
        (
            {"scaleStrategies": [{**QPS, "service": " "}]},
            "autoscaler.scaleStrategies[0].service: got ' ', "
            "expected the name of a service, or nothing for this one",
        ),
        (
            {"scaleStrategies": [{"metric_name": "qps", "threshold": 1}]},
            "autoscaler.scaleStrategies[0].metricName: got nothing, "
            "expected a metric such as qps, rt[p99] or custom[NAME]@TAG[VALUE]; "
            "the key is written metricName, not metric_name",
        ),
        (
            {"strategies": {"qsp": 5}},
            "autoscaler.strategies.qsp: got 'qsp', expected a metric that is measured; did you mean qps?",
        ),
        (
            {"strategies": {"rt[p95]": 5}},
            "autoscaler.strategies[\"rt[p95]\"]: got 'rt[p95]', "
            "expected one of rt[p50], rt[p90], rt[p99], rt[avg]",
        ),
        (
            {"scaleStrategies": [{**QPS, "metricName": "cpu[util]"}]},
            "autoscaler.scaleStrategies[0].metricName: got 'cpu[util]', expected cpu without brackets",
        ),
        (
            {"scaleStrategies": [{**QPS, "metricName": "GPU_Util"}]},
            "autoscaler.scaleStrategies[0].metricName: got 'GPU_Util', "
            "expected a metric that is measured; did you mean gpu[util]?",
        ),
        (
            {"max": 10**20},
            "max: got 100000000000000000000, expected an integer of at most 64 bits",
        ),
        (
            {"behavior": {"burst": {"thresholdPercent": 100}}},
            "autoscaler.behavior.burst.thresholdPercent: got 100, expected an integer from 101 to 10000",
        ),
    ],
)
def test_a_refusal_names_the_bound_and_the_value(document: dict[str, Any], sentence: str) -> None:
    assert refusal(document) == sentence


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("min_replica", "autoscaler.min"),
        ("max_replicas", "autoscaler.max"),
        ("scale_strategies", "autoscaler.scaleStrategies"),
        ("mix", "autoscaler.min or autoscaler.max"),
        ("mni", "autoscaler.min"),
    ],
)
def test_a_key_in_the_wrong_style_is_answered_with_the_right_one(written: str, meant: str) -> None:
    assert notices({written: 3}) == [
        f"autoscaler.{written}: unknown key, kept and ignored; did you mean {meant}?"
    ]


def test_a_metric_that_nobody_measures_is_kept_with_a_warning() -> None:
    (notice,) = notices({"scaleStrategies": [{**QPS, "metricName": "tokens_per_hour"}]})

    assert notice.startswith("autoscaler.scaleStrategies[0].metricName: unknown metric 'tokens_per_hour'")


@pytest.mark.parametrize(
    "metric",
    ["qps1k", "concurrency", "rt[p99]", "gpu[util]", "status[5xx]", "custom[depth]", "custom[depth]@q[a b]"],
)
def test_a_metric_that_is_measured_needs_no_warning(metric: str) -> None:
    assert notices({"scaleStrategies": [{**QPS, "metricName": metric}]}) == []


@pytest.mark.parametrize("name", ["avg_waiting_length", "queue[backlog]", "memory_percent", "custom_tokens"])
def test_a_metric_that_is_like_no_other_is_warned_of_and_kept(name: str) -> None:
    (notice,) = notices({"scaleStrategies": [{**QPS, "metricName": name}]})

    assert f"unknown metric '{name}', so nothing is scaled in" in notice


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        (
            {"strategies": {"error_rate": 5}},
            "autoscaler.strategies.error_rate: error_rate is 1 at most, so a threshold of 5 never scales out",
        ),
        (
            {"scaleStrategies": [QPS, {**QPS, "threshold": 20}]},
            "autoscaler.scaleStrategies[1].metricName: qps is also autoscaler.scaleStrategies[0].metricName; "
            "the lower threshold decides",
        ),
        (
            {"max": 3, "strategies": {"qps": 1}, "behavior": {"onZero": {"scaleUpActivationReplicas": 5}}},
            "autoscaler.behavior.onZero.scaleUpActivationReplicas: 5 is more than autoscaler.max, "
            "so 3 start on waking",
        ),
    ],
)
def test_what_a_policy_says_and_cannot_do_is_warned_of(document: dict[str, Any], sentence: str) -> None:
    assert notices(document) == [sentence]


def a_service(**parts: Any) -> dict[str, Any]:
    metadata = {"name": "tides", "instance": 1, **parts.pop("metadata", {})}
    return {"metadata": metadata, "containers": [{"image": "app:1"}], **parts}


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        (
            a_service(metadata={"instance": 9}, autoscaler={"min": 2, "max": 5, "strategies": {"qps": 1}}),
            "metadata.instance: 9 is not within the bounds (autoscaler has min 2 and max 5), so it is 5",
        ),
        (
            a_service(metrics=[{"name": "a b["}]),
            "metrics[0].name: no policy can name it: it has a bracket, an @ or more than 128 characters",
        ),
        (
            a_service(
                metrics=[{"name": "tokens", "tags": "user, kind"}],
                autoscaler={"strategies": {"custom[tokens]@model[a]": 100, "custom[tokens]@kind[x]": 9}},
            ),
            "autoscaler.strategies[\"custom[tokens]@model[a]\"]: 'model' is not among the `tags` of 'tokens' "
            "in the `metrics` of 'tides', so nothing is scaled in",
        ),
    ],
)
def test_what_a_service_says_of_its_size_and_cannot_be_is_warned_of(
    document: dict[str, Any], sentence: str
) -> None:
    assert [str(each) for each in parse_service(document).warnings] == [sentence]


def test_an_autoscaler_without_a_metric_is_told_that_no_load_moves_it() -> None:
    (notice,) = notices({"min": 2})

    assert "no metric is named" in notice


def test_a_service_json_says_the_same_of_its_autoscaler() -> None:
    document = {
        "metadata": {"name": "digits", "instance": 1},
        "containers": [{"image": "app:1"}],
        "autoscaler": {"strategies": {"unheard_of": 3}},
    }

    (notice,) = parse_service(document).warnings

    assert notice.path == "autoscaler.strategies.unheard_of"


def test_merging_takes_members_and_removes_with_null() -> None:
    stored = {"min": 1, "max": 5, "behavior": {"scaleDown": {"stabilizationWindowSeconds": 60}}}

    merged = merged_autoscaler(stored, {"max": 9, "min": None, "behavior": {"measureSeconds": 10}})

    assert merged == {
        "max": 9,
        "behavior": {"scaleDown": {"stabilizationWindowSeconds": 60}, "measureSeconds": 10},
    }


@pytest.mark.parametrize(("part", "got"), [([], "an empty array"), (None, "null"), (3, "3"), ("x", "'x'")])
def test_a_part_that_is_no_object_is_refused_instead_of_taken_for_an_empty_one(
    part: object, got: str
) -> None:
    document = {"metadata": {"name": "digits"}, "autoscaler": part, "cronScaler": part}

    assert refusal(document) == f"autoscaler: got {got}, expected an object"
    assert cron_refusal(document) == f"cronScaler: got {got}, expected an object"
    with pytest.raises(InvalidSpec, match=r"^autoscaler: got"):
        merged_autoscaler({"max": 3}, {"autoscaler": part})


def test_metrics_jobs_and_excluded_dates_are_bounded() -> None:
    both = {"scaleStrategies": [QPS] * 30, "strategies": {f"custom[m{n}]": 1 for n in range(21)}}
    jobs = [a_job(Name=f"job-{n}") for n in range(101)]

    assert refusal(both) == "autoscaler.scaleStrategies: got 51 metrics, expected at most 50"
    assert cron_refusal({"ScaleJobs": jobs}) == "cronScaler.ScaleJobs: got 101 jobs, expected at most 100"
    assert cron_refusal({"ScaleJobs": jobs[:100], "ExcludeDates": ["* * * 1 1 ?"] * 101}) == (
        "cronScaler.ExcludeDates: got 101 expressions, expected at most 100"
    )
    assert len(parse_autoscaler({"scaleStrategies": [QPS] * 50}).autoscaler.thresholds) == 50
    assert len(parse_cronscaler({"ScaleJobs": jobs[:100]}).cronscaler.scale_jobs) == 100


def test_of_a_service_json_without_a_policy_none_is_made_up() -> None:
    document = {"metadata": {"name": "digits"}, "containers": [{"image": "digits:1"}]}

    assert refusal(document) == "autoscaler: got nothing, expected an object"
    assert cron_refusal(document) == "cronScaler: got nothing, expected an object"


def test_a_schedule_is_read_by_itself() -> None:
    scaler = parse_cronscaler(
        {"ScaleJobs": [a_job(TimeZone="Europe/Berlin")], "ExcludeDates": ["* * * 1 1 ?"]}
    )

    (job,) = scaler.cronscaler.scale_jobs
    assert (job.name, job.target_size, job.time_zone) == ("day", 5, "Europe/Berlin")


@pytest.mark.parametrize(
    ("document", "begin"),
    [
        ({}, "cronScaler.ScaleJobs: got nothing, expected at least one job"),
        (
            {"scaleJobs": [a_job()]},
            "cronScaler.ScaleJobs: got nothing, expected at least one job; "
            "the key is written ScaleJobs, not scaleJobs",
        ),
        ({"ScaleJobs": [a_job(Schedule="0 8 * * *")]}, "cronScaler.ScaleJobs[0].Schedule: got '0 8 * * *'"),
        (
            {"ScaleJobs": [{"Name": "day", "Shedule": "0 0 8 * * *", "TargetSize": 3}]},
            "cronScaler.ScaleJobs[0].Schedule: got nothing, expected text that is not empty; "
            "the key is written Schedule, not Shedule",
        ),
        ({"ScaleJobs": [a_job(TimeZone="Mars")]}, "cronScaler.ScaleJobs[0].TimeZone: got 'Mars'"),
        (
            {"ScaleJobs": [a_job(TargetSize=3001)]},
            "cronScaler.ScaleJobs[0].TargetSize: got 3001, expected an integer from 0 to 3000",
        ),
        (
            {"ScaleJobs": [a_job(), a_job()]},
            "cronScaler.ScaleJobs[1].Name: got 'day', expected a name other than that of ScaleJobs[0]",
        ),
        (
            {"ScaleJobs": [a_job()], "ExcludeDates": ["sunday"]},
            "cronScaler.ExcludeDates[0]: got 'sunday'",
        ),
    ],
)
def test_a_schedule_that_cannot_be_kept_is_refused(document: dict[str, Any], begin: str) -> None:
    assert cron_refusal(document).startswith(begin)


def test_a_stored_document_is_read_without_policies_that_an_earlier_release_did_not_read() -> None:
    cron = {"ScaleJobs": [{"Name": "day", "Schedule": "0 8 * * *", "TargetSize": 3}]}
    document = {"metadata": {"name": "digits", "instance": 2}, "containers": [{"image": "digits:1"}]}

    stored = parse_stored({**document, "autoscaler": {"strategies": {"queue length": 5}}, "cronScaler": cron})

    assert stored.spec == parse_service(document).spec
    with pytest.raises(InvalidSpec, match=r"^metadata\.instance: "):
        parse_stored({**document, "metadata": {"name": "digits", "instance": -1}, "cronScaler": cron})
