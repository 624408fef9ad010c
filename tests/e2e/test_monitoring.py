"""A real Prometheus reads an Easel under load: every panel has data, and every rule can be evaluated."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from urllib.parse import urlsplit

import grpc
import pytest

from tests.e2e.services import TOKEN, a_process_service
from tests.support.dashboards import Asked, asked_of_a_fleet, dashboard_files, queries
from tests.support.embedded import EmbeddedEasel, embedded_easel
from tests.support.load import steady_load
from tests.support.nvml_stub import build_stub
from tests.support.prometheus import Prometheus, prometheus_of
from tests.support.promql import names_in, rules
from tests.support.waiting import until

pytestmark = [pytest.mark.prometheus, pytest.mark.compiler]

# The load is more than it allows: the service grows at once.
_POLICY = {"min": 1, "max": 2, "scaleStrategies": [{"metricName": "qps", "threshold": 5}]}


@pytest.fixture(scope="module")
def easel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedEasel]:
    """With two GPUs, and an error of one that a program caused."""
    home = tmp_path_factory.mktemp("watched")
    (home / "xid").write_text("0 43")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("LD_LIBRARY_PATH", str(build_stub(home)))
        environment.setenv("NVML_STUB_CARDS", "whole,whole")
        environment.setenv("NVML_STUB_XID", str(home / "xid"))
        with embedded_easel(home) as running:
            yield running


@pytest.fixture(scope="module")
def prometheus(easel: EmbeddedEasel, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """It reads while one service is called, one has calls of gRPC, and one refuses what is too much."""
    home = tmp_path_factory.mktemp("prometheus")
    with prometheus_of(urlsplit(easel.metrics).netloc, home) as running, ExitStack() as load:
        easel.create(busy(easel.home))
        easel.create(a_process_service(easel.home, "streams", "grpc_echo.py", enable_grpc=True))
        easel.create(limited(easel.home))
        for name in ("busy", "limited"):
            url = f"{easel.context.gateway}/api/predict/{name}"
            load.enter_context(steady_load(url, {"Authorization": TOKEN}, clients=1))
        call_grpc(easel)
        yield running


def busy(home: Path) -> Path:
    """A service with a GPU, a policy, and a program that posts a number of its own."""
    path = a_process_service(home, "busy", "posting.py", gpu=1)
    return with_more(path, autoscaler=_POLICY, metrics=[{"name": "tokens", "tags": "model"}])


def limited(home: Path) -> Path:
    path = a_process_service(home, "limited", "echo.py")
    return with_more(path, networking={"gateway_policy": {"rate_limit": {"enable": True, "limit": 1}}})


def with_more(path: Path, **more: object) -> Path:
    path.write_text(json.dumps(json.loads(path.read_text()) | more))
    return path


def call_grpc(easel: EmbeddedEasel) -> None:
    """One call that ends well and one that does not."""
    options = [("grpc.default_authority", "streams.easel.local")]
    metadata = (("authorization", TOKEN),)
    with grpc.insecure_channel(easel.context.gateway.removeprefix("http://"), options=options) as channel:
        echo: grpc.StreamStreamMultiCallable[bytes, bytes] = channel.stream_stream("/test.Echo/Stream")
        nothing: grpc.StreamStreamMultiCallable[bytes, bytes] = channel.stream_stream("/test.Echo/None")
        list(echo(iter([b"one"]), metadata=metadata, timeout=20))
        with pytest.raises(grpc.RpcError):
            list(nothing(iter([b"one"]), metadata=metadata, timeout=20))


def asked() -> list[Asked]:
    return [each for path in dashboard_files() for each in queries(path)]


def draws(prometheus: Prometheus, query: Asked) -> bool:
    return bool(prometheus.query(asked_of_a_fleet(query.expr, "5s")))


async def test_every_panel_has_something_to_draw(prometheus: Prometheus) -> None:
    left = asked()

    def are_all_drawn() -> bool:
        left[:] = [query for query in left if not draws(prometheus, query)]
        return left == []

    with suppress(AssertionError):
        await until(are_all_drawn, within=60)

    assert [str(query) for query in left] == []


async def test_every_rule_is_evaluated_on_metrics_that_are_there(prometheus: Prometheus) -> None:
    named = {name for rule in rules() for name in names_in(rule.expr)}

    with suppress(AssertionError):
        await until(lambda: named <= prometheus.names(), within=60)

    assert named - prometheus.names() == set()
    assert {rule["health"] for rule in prometheus.rules()} == {"ok"}
    assert sorted(rule["name"] for rule in prometheus.rules()) == sorted(rule.name for rule in rules())


async def test_only_what_is_wrong_is_about_to_be_told(prometheus: Prometheus) -> None:
    wrong = {
        "EaselAutoscalerAtMax": "busy",
        "EaselRequestsRefused": "limited",
        # The stand-in of the driver says that heat holds both down.
        "EaselGpuThrottled": "",
    }

    def active() -> dict[str, str]:
        labels = [sample["metric"] for sample in prometheus.query("ALERTS")]
        return {each["alertname"]: each.get("service", "") for each in labels}

    with suppress(AssertionError):
        await until(lambda: active() == wrong, within=60)

    assert active() == wrong


async def test_the_instance_of_a_metric_is_that_of_a_service(prometheus: Prometheus) -> None:
    found = await until(lambda: prometheus.query("easel_instance_ready"), "instances")

    assert {sample["metric"]["service"] for sample in found} == {"busy", "streams", "limited"}
    assert all(sample["metric"]["instance"].startswith(sample["metric"]["service"]) for sample in found)
