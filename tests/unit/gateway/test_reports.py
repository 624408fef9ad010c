"""When numbers are read, and what is said of them."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from easel.gateway.v1 import gateway_pb2 as pb
from libs.domain.errors import Unavailable
from services.gateway.statistics.envoy_stats import NoStatistics, Sample
from services.gateway.statistics.token_reports import TokenReports
from services.gateway.statistics.traffic_reports import TrafficReports
from tests.support.waiting import until

OFTEN = timedelta(milliseconds=10)


@dataclass
class PlayedStatistics:
    """Answers with what the test says; None is an Envoy that does not answer."""

    counted: list[Sample] | None = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    async def read(self, names: str) -> list[Sample]:
        self.asked.append(names)
        if self.counted is None:
            raise Unavailable("Envoy sleeps")
        return self.counted


def requests(count: int) -> Sample:
    return Sample("envoy_cluster_upstream_rq_completed", count, {"envoy_cluster_name": "svc/1"})


def uses(token: str, count: int) -> Sample:
    return Sample("envoy_vhost_route_upstream_rq_total", count, {"envoy_route": token})


@asynccontextmanager
async def running(loop: Any) -> AsyncIterator[None]:
    stop = asyncio.Event()
    task = asyncio.create_task(loop.run(until=stop))
    try:
        yield
    finally:
        stop.set()
        await asyncio.wait_for(task, 10)


async def test_numbers_are_read_only_while_somebody_watches() -> None:
    statistics, said = PlayedStatistics([requests(3)]), list[pb.ConnectRequest]()
    reports = TrafficReports(statistics, said.append)

    async with running(reports):
        assert statistics.asked == []
        reports.watch(frozenset({"svc"}), OFTEN)
        await until(lambda: len(said) > 1, "two reports")
        reports.watch(frozenset(), timedelta(0))
        await until(lambda: said, "the loop to go on")
        read = len(statistics.asked)
        reports.watch(frozenset({"svc"}), OFTEN)
        await until(lambda: len(statistics.asked) > read, "another read")

    assert said[0].traffic.services[0].requests == 3
    assert said[0].traffic.why == ""
    assert said[0].traffic.at.seconds > 0


async def test_an_envoy_that_does_not_answer_is_said_and_asked_again() -> None:
    statistics, said = PlayedStatistics(None), list[pb.ConnectRequest]()
    reports = TrafficReports(statistics, said.append)

    async with running(reports):
        reports.watch(frozenset({"svc"}), OFTEN)
        await until(lambda: said, "a report")
        statistics.counted = [requests(3)]
        await until(lambda: said[-1].traffic.services, "numbers")

    assert said[0].traffic.why == "Envoy sleeps"
    assert said[-1].traffic.why == ""


async def test_envoys_elsewhere_cannot_be_asked_which_is_said() -> None:
    said = list[pb.ConnectRequest]()
    reports = TrafficReports(NoStatistics(), said.append)

    async with running(reports):
        reports.watch(frozenset({"svc"}), OFTEN)
        await until(lambda: said, "a report")

    assert said[0].traffic.why.startswith("this gateway runs no Envoy of its own")


async def test_tokens_are_named_by_their_ids_when_their_counts_grew() -> None:
    old, used, gone = (f"token-00000000000{mark}" for mark in "abc")
    statistics, said = PlayedStatistics([uses(old, 5)]), list[Any]()
    ids = {old: "id-of-old", used: "id-of-used"}
    reports = TokenReports(statistics, said.append, lambda: ids, every=OFTEN)

    async with running(reports):
        await until(lambda: len(statistics.asked) > 2, "some looks")
        assert said == []
        statistics.counted = [uses(old, 5), uses(used, 1), uses(gone, 1)]
        await until(lambda: said, "a use")

    assert [each.token_id for each in said[0].token_uses.uses] == ["id-of-used"]
    assert len(said) == 1


async def test_nothing_is_read_where_no_token_is_counted() -> None:
    statistics, looks = PlayedStatistics(), list[None]()

    def none() -> Mapping[str, str]:
        looks.append(None)
        return {}

    async with running(TokenReports(statistics, lambda said: None, none, every=OFTEN)):
        await until(lambda: len(looks) > 2, "some looks")

    assert statistics.asked == []
