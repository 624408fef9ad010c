"""Numbers of services: asked for only while somebody watches, summed over gateways, never falling."""

from datetime import datetime

from easel.common.v1 import common_pb2
from easel.gateway.v1 import gateway_pb2
from services.scheduler.traffic.watch import Traffic
from tests.support.builders import NOON, at


class Stage:
    """Numbers of the service "digits", with gateways that are asked as they would be."""

    def __init__(self) -> None:
        self.now: datetime = NOON
        self.traffic = Traffic(lambda: self.now)
        self.changes: list[frozenset[str]] = []
        self.traffic.on_watched(self.changes.append)

    def asked(self, *gateways: str) -> None:
        for gateway in gateways:
            self.traffic.asked(gateway, gateway, frozenset({"digits"}))

    def says(self, gateway: str, *requests: int, errors: int = 0) -> None:
        """What it has counted for version 1, 2 and so on."""
        counted = [
            common_pb2.ServiceTraffic(service="digits", version=n, requests=r, status_5xx=errors)
            for n, r in enumerate(requests, start=1)
        ]
        self.traffic.reported(gateway, gateway_pb2.TrafficReport(services=counted))

    def requests(self) -> int | None:
        totals = self.traffic.totals("digits")
        return totals.requests if totals else None


def test_a_service_is_asked_for_while_anybody_watches_it() -> None:
    stage = Stage()

    stage.traffic.watch("one", ["digits"])
    stage.traffic.watch("other", ["digits"])
    stage.traffic.watch("one", [])
    assert stage.traffic.watched == {"digits"}

    stage.traffic.watch("other", [])
    assert stage.traffic.watched == frozenset()
    assert stage.changes == [frozenset({"digits"}), frozenset({"digits"})]


def test_totals_begin_with_the_watch_and_sum_gateways_and_versions() -> None:
    stage = Stage()
    stage.traffic.watch("ramp", ["digits"])
    stage.asked("g1", "g2")
    stage.says("g1", 1000, 50)
    assert stage.requests() is None

    stage.says("g2", 70)
    assert stage.requests() == 0

    stage.says("g1", 1010, 51)
    stage.says("g2", 75)
    assert stage.requests() == 16


def test_an_envoy_that_counts_from_nothing_again_only_adds() -> None:
    stage = Stage()
    stage.traffic.watch("ramp", ["digits"])
    stage.asked("g1")

    for counted in (100, 110, 4, 9):
        stage.says("g1", counted)

    assert stage.requests() == 19


def test_errors_that_envoy_counts_from_nothing_while_requests_go_on_are_missed_by_no_ramp() -> None:
    stage = Stage()
    stage.traffic.watch("ramp", ["digits"])
    stage.asked("g1")

    for requests, errors in ((100, 50), (110, 55), (120, 4), (130, 6)):
        stage.says("g1", requests, errors=errors)

    totals = stage.traffic.totals("digits")
    assert totals is not None
    assert (totals.requests, totals.errors) == (30, 11)


def test_a_version_that_appears_between_two_reports_counts_whole() -> None:
    stage = Stage()
    stage.traffic.watch("ramp", ["digits"])
    stage.asked("g1")

    stage.says("g1", 100)
    stage.says("g1", 100, 7)

    assert stage.requests() == 7


def test_what_a_gateway_has_counted_stays_when_it_leaves() -> None:
    stage = Stage()
    stage.traffic.watch("ramp", ["digits"])
    stage.asked("g1", "g2")
    stage.says("g2", 0)
    for counted in (0, 25):
        stage.says("g1", counted)

    stage.traffic.left("g1")

    assert stage.requests() == 25


def test_numbers_are_as_old_as_those_of_the_gateway_that_was_silent_for_longest() -> None:
    stage = Stage()
    stage.traffic.watch("ramp", ["digits"])
    stage.asked("g1", "g2")
    stage.says("g1", 1)
    stage.now = at(30)
    stage.says("g2", 1)

    totals = stage.traffic.totals("digits")

    assert totals is not None
    assert totals.at == NOON
    assert [g for g in ("g1", "g2") if not stage.traffic.spoke(g, "digits", at(20))] == ["g1"]


def test_a_gateway_that_cannot_ask_its_envoys_says_why_and_counts_nothing() -> None:
    stage = Stage()
    stage.traffic.watch("ramp", ["digits"])
    stage.asked("g1")

    stage.traffic.reported("g1", gateway_pb2.TrafficReport(why="Envoy does not answer"))

    assert stage.requests() is None
    assert not stage.traffic.spoke("g1", "digits", NOON)
    assert stage.traffic.why_not("g1") == "Envoy does not answer"


def test_versions_are_summed_over_gateways_as_they_counted_them() -> None:
    stage = Stage()
    stage.traffic.watch("easel traffic", ["digits"])
    stage.asked("g1", "g2")

    stage.says("g1", 10, 1)
    stage.says("g2", 5)

    assert [(t.version, t.requests) for t in stage.traffic.by_version("digits")] == [(1, 15), (2, 1)]
