"""What the store makes of what it is told, and what it forgets."""

import math

import numpy as np
import pytest

from easel.facts.v1 import facts_pb2 as pb
from services.metrics.envoy_source import EnvoyLife
from services.metrics.filing import file
from services.metrics.forgetting import forget_what_is_gone
from services.metrics.store import Store
from services.metrics.totals import Key
from tests.support.counting_envoy import CountingEnvoy


class Scene:
    """Two gateways, their Envoys, and a clock that the test moves."""

    def __init__(self) -> None:
        self.seconds = 1_000.0
        self.store = Store(lambda: self.seconds)
        self.lives: dict[int, EnvoyLife] = {}
        self.tell(full=True, services=[a_service("echo", "gateway"), a_service("far", "other")])

    def tell(self, **facts: object) -> None:
        self.store.facts.take(pb.WatchResponse(**facts))  # type: ignore[arg-type]

    def hear(self, envoy: CountingEnvoy, at: float) -> None:
        self.seconds = at
        life = self.lives.setdefault(id(envoy), EnvoyLife(envoy.node))
        first = not life.heard_at
        life.read(envoy.families())
        if first:
            life.begin(at)
        file(self.store, life.gateway, life.settle(self.store.totals, at))
        self.store.envoys[life.node, float(id(envoy))] = at

    def mean(self, service: str, column: str, seconds: float = 10) -> float:
        window = self.store.services.window(seconds, self.store.until())
        table = self.store.services
        row = table.row(service)
        return float(window.means[table.column(column), row]) if row < window.covered.size else math.nan


def a_service(name: str, gateway: str, **more: object) -> pb.ServiceFacts:
    return pb.ServiceFacts(name=name, version=1, gateway=gateway, **more)  # type: ignore[arg-type]


def test_a_service_without_a_request_is_at_zero_and_one_whose_gateway_is_silent_is_missing() -> None:
    scene, envoy = Scene(), CountingEnvoy()
    for second in range(5):
        scene.hear(envoy, 1_000.0 + second)

    assert scene.mean("echo", "requests") == 0.0
    assert math.isnan(scene.mean("far", "requests"))


def test_versions_and_gateways_are_merged() -> None:
    scene, envoys = Scene(), [CountingEnvoy(), CountingEnvoy("node-1")]
    for second in range(11):
        for envoy in envoys:
            envoy.uptime = second
            envoy.serve("echo/1", times=3)
            envoy.serve("echo/2", times=1)
            envoy.gauges["cluster.echo/1.upstream_rq_active"] = 2
            scene.hear(envoy, 1_000.0 + second)

    assert scene.mean("echo", "requests", 5) == pytest.approx(8)
    assert scene.mean("echo", "in_flight", 5) == pytest.approx(4)


def test_of_several_envoys_that_tell_at_other_moments_only_whole_seconds_are_read() -> None:
    scene, first, second = Scene(), CountingEnvoy(), CountingEnvoy()
    for step in range(11):
        for envoy, delay in ((first, 0.0), (second, 0.7)):
            envoy.serve("echo/1", times=10)
            scene.hear(envoy, 1_000.1 + step + delay)

    assert scene.store.until() == 1_010.0
    assert scene.mean("echo", "requests", 3) == pytest.approx(20)


def test_requests_that_wait_are_those_that_the_scheduler_tells_of() -> None:
    scene, envoy = Scene(), CountingEnvoy()
    scene.tell(services=[a_service("echo", "gateway", waiting=12)])
    for second in range(3):
        scene.hear(envoy, 1_000.0 + second)

    assert scene.mean("echo", "waiting", 2) == pytest.approx(12)


def test_refusals_are_told_by_their_reason() -> None:
    scene, envoy = Scene(), CountingEnvoy()
    scene.hear(envoy, 1_000.0)
    envoy.counters["easel.refused.service.echo.status.429.grpc..flags.RL"] = 6
    envoy.counters["easel.refused.service.echo.status.200.grpc.14.flags.UAEX"] = 4
    envoy.counters["easel.refused.service..status.404.grpc..flags.NR"] = 9
    scene.hear(envoy, 1_002.0)

    columns = ("refused", "answered", "status_4xx", "status_5xx", "requests")
    rates = [scene.mean("echo", each, 2) for each in columns]

    # Errors are a share of all answers, also where all of them are refusals.
    assert rates == pytest.approx([5, 5, 3, 2, 0])


def test_what_the_scheduler_removed_is_forgotten_with_its_totals() -> None:
    scene, envoy = Scene(), CountingEnvoy()
    envoy.serve("echo/1", times=3)
    scene.hear(envoy, 1_000.0)
    scene.store.instances.take(scene.store.instances.rows(["echo-1"]), np.zeros((4, 1)), 1_000.0)
    scene.tell(removed_services=["echo"])

    scene.seconds = 1_011.0
    forget_what_is_gone(scene.store)

    assert "echo" not in scene.store.services
    assert "echo-1" not in scene.store.instances
    assert scene.store.totals.find(Key("gateway", "cluster", "echo/1")) == -1


def test_what_was_counted_of_a_version_is_kept_for_an_hour_after_the_last_envoy_told_of_it() -> None:
    scene, envoy = Scene(), CountingEnvoy()
    envoy.serve("echo/1", times=3)
    envoy.serve("far/1", times=3)
    scene.hear(envoy, 1_000.0)
    totals, at = scene.store.totals, 1_000.0

    def is_kept_after(looks: int) -> bool:
        nonlocal at
        for _ in range(looks):
            at += 2
            scene.hear(envoy, at)
            forget_what_is_gone(scene.store)
        return totals.find(Key("gateway", "cluster", "echo/1")) >= 0

    scene.tell(services=[pb.ServiceFacts(name="echo", version=2, gateway="gateway")])
    envoy.serve("echo/2", times=3)
    assert is_kept_after(2_000)
    envoy.drop("echo/1")

    assert is_kept_after(1_700)
    assert not is_kept_after(200)
    assert totals.find(Key("gateway", "cluster", "echo/2")) >= 0
    envoy.drop("far/1")
    is_kept_after(2_000)
    assert totals.find(Key("gateway", "cluster", "far/1")) >= 0


def test_a_forgotten_service_of_which_envoy_still_has_the_numbers_does_not_come_back() -> None:
    scene, envoy = Scene(), CountingEnvoy()
    envoy.serve("echo/1", times=3)
    scene.hear(envoy, 1_000.0)
    scene.store.forget_service("echo")

    scene.hear(envoy, 1_001.0)

    assert scene.store.totals.find(Key("gateway", "cluster", "echo/1")) == -1


def test_a_removed_service_of_which_envoy_tells_for_ever_takes_no_row() -> None:
    scene, envoy = Scene(), CountingEnvoy()
    refused = "easel.refused.service.echo.status.429.grpc..flags.RL"
    envoy.counters[refused], envoy.uptime = 1, 5.0
    scene.hear(envoy, 1_000.0)
    assert "echo" in scene.store.services
    scene.tell(removed_services=["echo"])
    for second in range(15):
        scene.hear(envoy, 1_001.0 + second)
    forget_what_is_gone(scene.store)

    scene.hear(envoy, 1_017.0)
    assert "echo" not in scene.store.services

    envoy.counters[refused] += 1
    scene.hear(envoy, 1_018.0)
    assert "echo" in scene.store.services


def test_before_the_scheduler_has_told_anything_nothing_is_forgotten_for_an_hour() -> None:
    clock = [1_000.0]
    store = Store(lambda: clock[0])
    store.instances.take(store.instances.rows(["echo-1"]), np.zeros((4, 1)), 1_000.0)

    clock[0] = 4_000.0
    forget_what_is_gone(store)

    assert "echo-1" in store.instances
