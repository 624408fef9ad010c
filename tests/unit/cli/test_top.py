"""`easel top` and `easel metrics`: what is busy, now and as it comes."""

import json

import pytest

from easel.common.v1 import common_pb2 as common
from libs.domain.errors import FailedPrecondition, Unavailable
from tests.support.command_line import CommandLine
from tests.support.fake_admin import FakeAdmin

LLM = {
    ("service", "llm", "qps"): 12.0,
    ("service", "llm", "rt[p99]"): 80.0,
    ("service", "llm", "instances"): 2.0,
    ("service", "llm", "wanted"): 3.0,
    ("service", "idle", "qps"): 0.0,
    ("service", "busy", "qps"): 99.0,
}


@pytest.fixture(autouse=True)
def a_service(fake: FakeAdmin) -> None:
    fake.create('{"name": "llm", "metadata": {"instance": 2}}', "")


def test_services_are_shown_by_name_and_what_is_not_known_as_a_dash(
    easel: CommandLine, fake: FakeAdmin
) -> None:
    fake.scaling.numbers = dict(LLM)

    ran = easel("top")

    header, *rows = ran.out.splitlines()
    assert header.split()[:5] == ["SERVICE", "QPS", "OPEN", "WAITING", "P50"] and "GPU" not in header
    assert [row.split()[0] for row in rows] == ["busy", "idle", "llm"]
    assert rows[2].split() == [*("llm", "12/s", "–", "–", "–", "80.0", "ms"), *("–", "–", "–", "2", "3")]
    selectors = {each.measure: each.window_s for each in fake.scaling.asked[0].selectors}
    assert (selectors["qps"], selectors["instances"]) == (10, 0)


def test_the_largest_come_first_when_asked(easel: CommandLine, fake: FakeAdmin) -> None:
    fake.scaling.numbers = dict(LLM)

    assert [row.split()[0] for row in easel("top", "--sort", "qps").out.splitlines()[1:]] == [
        "busy",
        "llm",
        "idle",
    ]
    refused = easel("top", "--sort", "size")
    assert refused.code == 2 and "--sort: got 'size', expected one of name, qps, open, " in refused.err


def test_programs_get_every_number_by_name(easel: CommandLine, fake: FakeAdmin) -> None:
    fake.scaling.numbers = dict(LLM)

    (found,) = easel("top", "llm", "-o", "json").value

    assert (found["service"], found["qps"], found["p99_ms"], found["ready"], found["wanted"]) == (
        *("llm", 12.0, 80.0, 2.0),
        3.0,
    )
    assert found["gpu_percent"] is None


def test_instances_are_shown_with_their_service_and_node(easel: CommandLine, fake: FakeAdmin) -> None:
    fake.scaling.service_of = {"llm-1": "llm", "other-9": "other"}
    fake.scaling.numbers = {
        ("instance", "llm-1", "cpu"): 40.0,
        ("instance", "llm-1", "gpu[util]"): 7.0,
        ("instance", "other-9", "cpu"): 1.0,
    }

    header, row = easel("top", "instances", "llm").out.splitlines()

    assert header.split()[:4] == ["INSTANCE", "SERVICE", "NODE", "CPU"]
    assert row.split() == ["llm-1", "llm", "n1", "40%", "–", "–", "–", "7%"]
    assert len(easel("top", "instances").out.splitlines()) == 3


def test_gpus_are_shown_with_their_node_and_model(easel: CommandLine, fake: FakeAdmin) -> None:
    fake.add_node("n1").gpus.append(common.Gpu(uuid="GPU-1", index=0, model="L4"))
    fake.scaling.numbers = {("gpu", "GPU-1", "util"): 55.0, ("gpu", "GPU-1", "temperature"): 61.0}

    assert easel("top", "gpus").out.splitlines()[1].split()[:4] == ["GPU-1", "n1", "L4", "55%"]


def test_nodes_and_gateways_are_not_of_a_service(easel: CommandLine, fake: FakeAdmin) -> None:
    fake.scaling.numbers = {("node", "n1", "cpu"): 5.0, ("gateway", "gateway", "qps"): 7.0}

    assert easel("top", "nodes").out.splitlines()[1].split()[:2] == ["n1", "5%"]
    assert easel("top", "gateways").out.splitlines()[1].split()[:2] == ["gateway", "7/s"]
    refused = easel("top", "nodes", "llm")
    assert (refused.code, refused.err) == (2, "easel: nodes are not of a service; leave 'llm' out\n")
    assert easel("top", "pods", "llm").code == 2


def test_without_numbers_that_is_said_and_an_unknown_service_is_refused(easel: CommandLine) -> None:
    assert easel("top").err == "no numbers of services yet\n"
    assert easel("top", "gpus").err == "no node has a GPU\n"
    assert easel("top", "gone").code == 3


def test_a_service_may_have_a_region_before_it(easel: CommandLine, fake: FakeAdmin) -> None:
    fake.scaling.numbers = dict(LLM)

    assert easel("top", "cn-shanghai/llm").out == easel("top", "llm").out
    assert easel("metrics", "cn-shanghai/llm").out == easel("metrics", "llm").out


def test_a_window_beyond_what_is_kept_is_refused_by_the_name_of_the_option(easel: CommandLine) -> None:
    refused = easel("top", "--window", "2h")

    assert refused.code == 2 and "--window: got '2h', expected 1h at most" in refused.err


def test_a_watch_shows_each_second_until_the_metrics_service_is_away(
    easel: CommandLine, fake: FakeAdmin
) -> None:
    fake.scaling.watches = [{("service", "llm", "qps"): 1.0}, {("service", "llm", "qps"): 2.0}]
    fake.scaling.watch_end = FailedPrecondition("this scheduler does not know where the metrics service is")

    ran = easel("top", "--watch", "-o", "json")

    assert [json.loads(line)[0]["qps"] for line in ran.out.splitlines()] == [1.0, 2.0]
    assert (ran.code, ran.err) == (4, "easel: this scheduler does not know where the metrics service is\n")
    assert easel("top", "--watch").out.count("SERVICE") == 2


def test_the_numbers_of_a_service_are_plain_lines_without_a_terminal(
    easel: CommandLine, fake: FakeAdmin
) -> None:
    fake.scaling.numbers = dict(LLM)

    ran = easel("metrics", "llm")

    assert [line.split() for line in ran.out.splitlines()[:3]] == [
        ["MEASURE", "NOW"],
        ["qps", "12/s"],
        ["rt[p50]", "–"],
    ]
    assert easel("metrics", "llm", "cpu").err == "no numbers of llm yet\n"
    assert easel("metrics", "gone").code == 3


def test_what_is_no_measure_is_refused_by_the_name_it_has_on_the_line(
    easel: CommandLine, fake: FakeAdmin
) -> None:
    fake.scaling.unmeasured = {"foo"}

    refused = easel("metrics", "llm", "foo")

    assert (refused.code, refused.err) == (
        4,
        "easel: MEASURE: got 'foo', expected a measure of kind service: qps\n",
    )


def test_a_metric_of_the_program_that_it_never_posts_is_refused_with_those_it_has(
    easel: CommandLine, fake: FakeAdmin
) -> None:
    fake.create('{"name": "tides", "metadata": {"instance": 1}, "metrics": [{"name": "tokens"}]}', "")

    undeclared, without = easel("metrics", "tides", "custom[nope]"), easel("metrics", "llm", "custom[nope]")
    silent = easel("metrics", "tides", "custom[tokens]")
    fake.scaling.numbers = {("service", "tides", "custom[nope]"): 3.0}

    assert (undeclared.code, undeclared.err) == (
        4,
        "easel: MEASURE: got 'custom[nope]', expected one of the `metrics` of 'tides': custom[tokens]\n",
    )
    assert without.err.endswith("expected one of the `metrics` of 'llm': it declares none\n")
    assert silent.err == "no numbers of tides yet: nothing was posted in the last minute\n"
    # As an earlier version of it may still do.
    assert easel("metrics", "tides", "custom[nope]").code == 0


def test_of_a_service_without_an_instance_that_is_said(easel: CommandLine, fake: FakeAdmin) -> None:
    fake.services["llm"].total, fake.services["llm"].why = 0, "asleep: no instance until a request comes"

    ran = easel("metrics", "llm", "--instances")

    assert ran.err == "llm has no instance: asleep: no instance until a request comes\n"


def test_a_kind_that_is_nearly_named_is_hinted_at(easel: CommandLine) -> None:
    refused = easel("top", "service")

    assert refused.code == 3 and refused.err.endswith("; did you mean `easel top services`?\n")


def test_programs_get_the_points_of_each_measure(easel: CommandLine, fake: FakeAdmin) -> None:
    fake.scaling.series = {("service", "llm", "qps"): [(1_900_000_000, 1.0), (1_900_000_001, 2.0)]}

    (series,) = easel("metrics", "llm", "qps", "--last", "10m", "-o", "json").value

    assert (series["measure"], series["service"]) == ("qps", "llm")
    assert series["points"][1] == {"at": "2030-03-17T17:46:41.000Z", "value": 2.0}
    assert fake.scaling.asked[-1].last_s == 600


def test_more_than_metrics_keeps_is_refused_with_what_there_is(easel: CommandLine, fake: FakeAdmin) -> None:
    fake.scaling.series = {("service", "llm", "qps"): [(1_900_000_000, 1.0)]}

    (series,) = easel("metrics", "llm", "qps", "--last", "6h", "-o", "json").value
    refused = easel("metrics", "llm", "qps", "--last", "2d", "-o", "json")

    assert series["measure"] == "qps"
    assert refused.code == 4
    assert (
        "--last: got '2d', expected 1 to 86400 seconds; what is older is kept by a Prometheus" in refused.err
    )


def test_each_instance_is_shown_by_itself(easel: CommandLine, fake: FakeAdmin) -> None:
    fake.scaling.service_of = {"llm-1": "llm", "llm-2": "llm", "other-1": "other"}
    fake.scaling.numbers = {
        ("instance", "llm-1", "cpu"): 10.0,
        ("instance", "llm-2", "cpu"): 20.0,
        ("instance", "other-1", "cpu"): 30.0,
    }

    header, *rows = easel("metrics", "llm", "--instances").out.splitlines()

    assert header.split() == ["INSTANCE", "CPU", "MEMORY_BYTES", "CONNECTIONS"]
    assert [row.split()[:2] for row in rows] == [["llm-1", "10%"], ["llm-2", "20%"]]


def test_a_watch_of_one_service_is_one_line_a_second(easel: CommandLine, fake: FakeAdmin) -> None:
    fake.scaling.watches = [{("service", "llm", "qps"): 1.0}, {}]
    fake.scaling.watch_end = FailedPrecondition("enough")

    ran = easel("metrics", "llm", "qps", "--watch")

    first, second = ran.out.splitlines()
    assert first.endswith("qps=1/s") and second.endswith("no numbers of llm now")


def test_a_metrics_service_that_is_away_is_said(easel: CommandLine, fake: FakeAdmin) -> None:
    fake.scaling.refuses = Unavailable("the metrics service at 127.0.0.1:8803 does not answer")

    ran = easel("top")

    assert (ran.code, ran.err) == (5, "easel: the metrics service at 127.0.0.1:8803 does not answer\n")
