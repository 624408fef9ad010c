"""What is answered: totals and means, windows, silence and what is missing."""

import pytest

from easel.facts.v1 import facts_pb2 as facts
from services.metrics.custom import Points
from services.metrics.measures import Kind, parse_measure
from services.metrics.queries import Asked, numbers, step_for
from services.metrics.reading import Look
from tests.support.metrics_stage import Stage, a_service, an_instance

MIB = 1024 * 1024


@pytest.fixture
def stage() -> Stage:
    return Stage()


def test_a_rate_is_that_of_the_window(stage: Stage) -> None:
    for requests in (10, 10, 40):
        stage.pass_seconds()
        stage.envoy("llm", requests=requests, status_5xx=1)

    assert stage.asks("qps", seconds=3) == {"llm": 20}
    assert stage.asks("qps", seconds=1) == {"llm": 40}
    assert stage.asks("qps1k", seconds=1) == {"llm": 40_000}
    assert stage.asks("errors", seconds=3) == {"llm": 1}


def test_silence_is_zero_for_as_long_as_somebody_tells_of_it(stage: Stage) -> None:
    stage.pass_seconds()
    stage.envoy("llm")

    for measure in ("qps", "errors", "error_rate", "status[2xx]", "rt[p99]", "in_flight"):
        assert stage.asks(measure, seconds=1) == {"llm": 0}, measure


def test_what_nobody_told_of_for_ten_seconds_is_missing_and_not_zero(stage: Stage) -> None:
    stage.pass_seconds()
    stage.envoy("llm", requests=10, in_flight=2)

    stage.pass_seconds(9.5)
    assert stage.asks("qps", seconds=60) == {"llm": 10}
    assert stage.asks("qps") == {"llm": 10}
    stage.pass_seconds(1)
    assert stage.asks("qps", seconds=60) == {} == stage.asks("in_flight")


def test_a_share_of_errors_is_that_of_the_answers(stage: Stage) -> None:
    stage.pass_seconds()
    stage.envoy("llm", requests=10, answered=8, status_2xx=6, status_5xx=2)

    assert stage.asks("error_rate", seconds=1) == {"llm": 0.25}
    assert stage.asks("status[2xx]", seconds=1) == {"llm": 6}


def test_a_call_of_grpc_that_failed_is_an_error_whatever_its_status_of_http(stage: Stage) -> None:
    stage.pass_seconds()
    stage.envoy("llm", requests=10, answered=10, status_2xx=10, grpc_failed=4)

    assert stage.asks("errors", seconds=1) == {"llm": 4}
    assert stage.asks("error_rate", seconds=1) == {"llm": 0.4}


def test_concurrency_is_what_is_in_flight_and_what_waits(stage: Stage) -> None:
    stage.pass_seconds()
    stage.envoy("llm", in_flight=3, waiting=4)

    assert stage.asks("concurrency") == {"llm": 7}
    assert (stage.asks("in_flight"), stage.asks("waiting")) == ({"llm": 3}, {"llm": 4})


def test_percentiles_lie_in_the_bucket_of_the_true_value_and_the_mean_is_exact(stage: Stage) -> None:
    stage.pass_seconds()
    stage.envoy("llm", requests=100)
    stage.answered("llm", *[15.0] * 98, 400.0, 400.0)

    assert 14 <= stage.asks("rt[p50]")["llm"] <= 17
    assert 350 <= stage.asks("rt[p99]")["llm"] <= 420
    assert stage.asks("rt[avg]") == {"llm": (98 * 15 + 800) / 100}


def test_latency_is_taken_over_ten_seconds_at_least(stage: Stage) -> None:
    stage.pass_seconds()
    stage.envoy("llm", requests=1)
    stage.answered("llm", 500.0)
    for _ in range(5):
        stage.pass_seconds()
        stage.envoy("llm")

    assert stage.asks("rt[p99]", seconds=1)["llm"] > 400


def test_use_of_a_service_is_the_mean_over_its_ready_instances(stage: Stage) -> None:
    stage.knows(
        a_service(
            "llm",
            *(an_instance("a"), an_instance("b"), an_instance("c", ready=False)),
            cpu_milli=2000,
            memory_mib=100,
        )
    )
    for second in range(3):
        stage.instance("a", cpu_seconds=second * 2.0, memory_bytes=50 * MIB)
        stage.instance("b", cpu_seconds=second * 1.0, memory_bytes=100 * MIB)
        stage.instance("c", cpu_seconds=second * 9.0, memory_bytes=0)
        stage.pass_seconds()
    stage.samples.take()

    assert stage.asks("cpu") == {"llm": 75}
    assert (stage.asks("memory"), stage.asks("memory_bytes")) == ({"llm": 75}, {"llm": 75 * MIB})
    assert stage.asks("cpu", "instance", of_service="llm", seconds=1) == {"a": 100, "b": 50, "c": 450}


def test_without_a_limit_cpu_is_of_one_core_and_memory_of_the_node(stage: Stage) -> None:
    node = facts.NodeFacts(name="n1")
    node.capacity.memory_mib = 1000
    stage.knows(a_service("llm", an_instance("a")), nodes=(node,))
    for second in range(3):
        stage.instance("a", cpu_seconds=second * 0.5, memory_bytes=250 * MIB)
        stage.pass_seconds()

    assert (stage.asks("cpu"), stage.asks("memory")) == ({"llm": 50}, {"llm": 25})


def test_means_of_instances_that_nobody_hears_of_are_missing(stage: Stage) -> None:
    stage.knows(a_service("llm", an_instance("a"), an_instance("b"), memory_mib=100))
    for each in ("a", "b"):
        stage.instance(each, cpu_seconds=1, memory_bytes=50 * MIB)
    stage.pass_seconds()
    for each in ("a", "b"):
        stage.instance(each, cpu_seconds=2, memory_bytes=50 * MIB)
    stage.pass_seconds()

    for _ in range(7):
        stage.instance("a", cpu_seconds=2, memory_bytes=100 * MIB)
        stage.pass_seconds()
    assert stage.asks("memory") == {"llm": 75}
    for _ in range(4):
        stage.instance("a", cpu_seconds=2, memory_bytes=100 * MIB)
        stage.pass_seconds()
    assert stage.asks("memory") == {"llm": 100}
    for _ in range(11):
        stage.pass_seconds()
    assert stage.asks("memory") == {}


def test_gpus_of_an_instance_count_as_their_mean(stage: Stage) -> None:
    stage.knows(a_service("llm", an_instance("a", "g1", "g2"), an_instance("b", "g3"), an_instance("c")))
    for gpu, util, used in (("g1", 20, 40), ("g2", 40, 80), ("g3", 90, 20)):
        stage.reports(
            stage.store.gpus,
            gpu,
            utilization_percent=util,
            memory_used_bytes=used,
            memory_total_bytes=80,
            power_watts=300,
            temperature_celsius=60,
        )
    stage.pass_seconds()

    assert stage.asks("gpu[util]") == stage.asks("gpu") == {"llm": 60}
    assert stage.asks("gpu_memory", "instance", of_service="llm") == {"a": 75, "b": 25}
    assert stage.asks("util", "gpu", subjects=("g2",)) == {"g2": 40}
    assert stage.asks("memory", "gpu") == {"g1": 50, "g2": 100, "g3": 25}


def test_sizes_are_those_that_the_scheduler_tells_and_missing_without_it(stage: Stage) -> None:
    stage.knows(a_service("llm", an_instance("a"), an_instance("b", ready=False), wanted=2))
    stage.pass_seconds()

    assert (stage.asks("instances"), stage.asks("wanted")) == ({"llm": 1}, {"llm": 2})
    stage.store.facts.connected = False
    for _ in range(11):
        stage.pass_seconds()
    assert stage.asks("wanted") == {}


def test_a_service_that_is_gone_is_not_told_of(stage: Stage) -> None:
    stage.knows(a_service("llm"), a_service("old"))
    stage.pass_seconds()
    stage.knows(a_service("llm"))
    stage.pass_seconds()

    assert stage.asks("wanted") == {"llm": 1}


def test_a_program_that_posts_ever_new_tags_is_heard_with_those_of_the_last_minute(stage: Stage) -> None:
    stage.knows(a_service("llm", an_instance("a")))
    post = stage.store.custom.take
    for user in range(100):
        post("llm", "a", "tokens", {"user": f"old-{user}"}, 1, stage.now)
    post("llm", "a", "tokens", {"user": "new"}, 7, stage.now)
    assert stage.asks("custom[tokens]@user[new]") == {}

    stage.pass_seconds(61)
    post("llm", "a", "tokens", {"user": "new"}, 7, stage.now)

    assert stage.asks("custom[tokens]") == {"llm": 7} == stage.asks("custom[tokens]@user[new]")


def test_of_a_custom_metric_the_newest_300_values_are_kept() -> None:
    points = Points()
    for second in range(1_000):
        points.add(float(second), second / 2)

    kept = list(points.newest_first())

    assert kept[0] == points.newest == (999.0, 499.5)
    assert (len(kept), kept[-1]) == (300, (700.0, 350.0))


def test_custom_metrics_are_means_over_instances_that_posted_in_the_last_minute(stage: Stage) -> None:
    stage.knows(a_service("llm", an_instance("a"), an_instance("b")))
    post = stage.store.custom.take
    post("llm", "a", "tokens", {"model": "x"}, 10, stage.now)
    post("llm", "a", "tokens", {"model": "y"}, 30, stage.now)
    post("llm", "b", "tokens", {"model": "x"}, 40, stage.now - 50)

    assert stage.asks("custom[tokens]") == {"llm": 30}
    assert stage.asks("custom[tokens]@model[x]") == {"llm": 25}
    assert stage.asks("custom[tokens]@model[x]", "instance") == {"a": 10, "b": 40}
    assert stage.asks("custom[tokens]@model[z]") == {} == stage.asks("custom[queue]")
    stage.pass_seconds(11)
    assert stage.asks("custom[tokens]") == {"llm": 20}


def test_nodes_and_gateways_have_numbers_of_their_own(stage: Stage) -> None:
    for second in range(3):
        stage.reports(
            stage.store.nodes,
            "n1",
            cpu_seconds=second * 4.0,
            cpu_cores=8,
            memory_used_bytes=25,
            memory_total_bytes=100,
            network_received_bytes=second * 1000,
        )
        stage.pass_seconds()
        stage.gateway("gateway", requests=5, errors=1, connections=12)

    assert (stage.asks("cpu", "node"), stage.asks("memory", "node")) == ({"n1": 50}, {"n1": 25})
    assert stage.asks("net_in", "node") == {"n1": 1000}
    assert stage.asks("disk", "node") == {}
    assert stage.asks("qps", "gateway") == {"gateway": 5}
    assert stage.asks("connections", "gateway") == {"gateway": 12}


def test_a_range_has_a_point_for_each_step_and_none_where_nothing_was_told(stage: Stage) -> None:
    for requests in (1, 2, 3):
        stage.pass_seconds()
        stage.envoy("llm", requests=requests)
    stage.pass_seconds(3)
    for requests in (7, 8):
        stage.pass_seconds()
        stage.envoy("llm", requests=requests)

    assert stage.follows("qps", last=8) == {"llm": [1, 2, 3, 7, 8]}
    assert stage.follows("qps", last=2) == {"llm": [7, 8]}


def test_what_a_service_was_is_known_after_its_instances_are_gone(stage: Stage) -> None:
    stage.knows(a_service("llm", an_instance("a"), memory_mib=100, wanted=1))
    for second in range(4):
        stage.instance("a", cpu_seconds=second, memory_bytes=50 * MIB)
        stage.pass_seconds()
    stage.store.instances.forget("a")
    stage.knows(a_service("llm", wanted=0))
    for _ in range(2):
        stage.pass_seconds()

    assert set(stage.follows("memory", last=6)["llm"]) == {50}
    assert stage.follows("wanted", last=2) == {"llm": [0, 0]}


def test_a_range_has_about_a_hundred_and_twenty_points_unless_told() -> None:
    assert [step_for(last, 0) for last in (1, 60, 120, 300, 301, 3600)] == [1, 1, 1, 3, 10, 30]
    assert step_for(3600, 5) == 5


def test_an_age_is_since_the_newest_number_arrived(stage: Stage) -> None:
    stage.knows(a_service("llm", an_instance("a"), memory_mib=100))
    for second in range(2):
        stage.instance("a", cpu_seconds=second, memory_bytes=MIB)
        stage.pass_seconds()
    stage.pass_seconds(3)

    asked = Asked(parse_measure("cpu", Kind.SERVICE), Kind.SERVICE)
    (cpu,) = numbers(asked, Look(stage.store), stage.samples)

    assert (cpu.age, cpu.instances) == (4, 1)
