"""What the gateways counted, as numbers, rates and percentiles."""

import json
import math

from cli.traffic_numbers import Quantile, quantile, rate_text, since, traffic_columns
from easel.admin.v1 import admin_pb2 as pb
from easel.common.v1 import common_pb2 as common
from easel_sdk.types import LatencyBucket, ServiceTraffic
from tests.support.command_line import CommandLine
from tests.support.fake_admin import ADMIN_TOKEN, FakeAdmin
from tests.support.recording_http import recording_http


def counted(requests: int, version: int = 1, **counts: int) -> common.ServiceTraffic:
    return common.ServiceTraffic(
        service="llm",
        version=version,
        requests=requests,
        status_2xx=requests,
        latency=[
            common.LatencyBucket(upper_ms=10, count=requests // 2),
            common.LatencyBucket(upper_ms=20, count=requests),
            common.LatencyBucket(upper_ms=math.inf, count=requests),
        ],
        **counts,
    )


def a_version(requests: int, *latency: LatencyBucket, version: int = 1) -> ServiceTraffic:
    return ServiceTraffic("llm", version, requests, requests, 0, 0, 0, 0, 0, 0, 0, 0, latency)


BUCKETS = (LatencyBucket(10.0, 50), LatencyBucket(20.0, 90), LatencyBucket(None, 100))


def test_a_percentile_lies_between_the_bounds_of_its_bucket() -> None:
    assert quantile(BUCKETS, 0.5) == Quantile(10.0)
    assert quantile(BUCKETS, 0.25) == Quantile(5.0)
    assert quantile(BUCKETS, 0.7) == Quantile(15.0)


def test_a_percentile_beyond_the_last_bound_is_more_than_that() -> None:
    found = quantile(BUCKETS, 0.99)

    assert found == Quantile(20.0, at_least=True) and str(found) == ">20.0 ms"


def test_no_requests_have_no_percentile() -> None:
    assert quantile((), 0.5) is None
    assert quantile((LatencyBucket(10.0, 0), LatencyBucket(None, 0)), 0.5) is None


def test_percentiles_are_read_with_as_many_digits_as_they_need() -> None:
    assert [str(Quantile(ms)) for ms in (0.42, 12.34, 250.4, 12_500)] == [
        "0.4 ms",
        "12.3 ms",
        "250 ms",
        "12.5 s",
    ]


def test_what_came_between_two_looks_is_the_difference_of_their_counts() -> None:
    before = [a_version(100, LatencyBucket(10.0, 80), LatencyBucket(None, 100))]
    now = [a_version(150, LatencyBucket(10.0, 90), LatencyBucket(None, 150)), a_version(7, version=2)]

    first, new = since(before, now)

    assert (first.requests, first.latency) == (50, (LatencyBucket(10.0, 10), LatencyBucket(None, 50)))
    assert new.requests == 7


def test_counts_that_began_anew_count_from_nothing() -> None:
    (anew,) = since([a_version(100)], [a_version(3)])

    assert anew.requests == 3


def test_what_is_not_known_of_a_row_is_a_dash_and_one_request_has_percentiles() -> None:
    refused, single = a_version(3, version=0), a_version(1, LatencyBucket(10.0, 1), LatencyBucket(None, 1))
    shown = dict(traffic_columns([refused, single]))

    assert [str(shown[title](refused)) for title in ("VERSION", "P50", "P99")] == ["–", "–", "–"]
    assert [str(shown[title](single)) for title in ("VERSION", "P50", "P99")] == ["1", "5.0 ms", "9.9 ms"]


def test_rates_are_whole_where_they_are_large() -> None:
    assert [rate_text(*each) for each in ((0, 2), (3, 2), (41, 2), (5, 0))] == ["0/s", "1.5/s", "20/s", "0/s"]


def test_versions_are_shown_with_answers_refusals_and_percentiles(
    easel: CommandLine, fake: FakeAdmin
) -> None:
    fake.create('{"name": "llm"}', "")
    answer = pb.GetTrafficResponse(
        versions=[
            counted(100, rate_limited=4, overflowed=5, timed_out=6, in_flight=2),
            counted(40, version=2),
        ],
        notes=["gateway edge is away"],
    )
    fake.traffic.traffic["llm"] = [answer]

    ran = easel("traffic", "llm")

    header, *rows = ran.out.splitlines()
    assert "GRPC" not in header and ran.err == "gateway edge is away\n"
    assert rows[0].split() == ["1", "100", "100", "0", "0", "4", "5", "6", "2", "10.0", "ms", "19.8", "ms"]
    assert rows[1].split()[0] == "2" and max(map(len, ran.out.splitlines())) <= 100
    told = easel("traffic", "llm", "-o", "json").value
    assert (told["versions"][0]["p50_ms"], told["versions"][0]["p99_ms"]) == (10.0, 19.8)
    assert told["versions"][0]["latency"][-1] == {"upper_ms": None, "count": 100}
    answer.versions[0].grpc_failed = 1
    assert "GRPC FAILED" in easel("traffic", "llm").out


def test_a_service_that_nobody_called_or_that_is_not_there_says_so(
    easel: CommandLine, fake: FakeAdmin
) -> None:
    fake.create('{"name": "llm"}', "")

    assert easel("traffic", "llm").err == "nothing was counted for llm yet\n"
    assert easel("traffic", "gone").code == 3


def test_a_watch_shows_what_comes_a_second_until_the_service_is_gone(
    easel: CommandLine, fake: FakeAdmin
) -> None:
    fake.create('{"name": "llm"}', "")
    looks = [pb.GetTrafficResponse(versions=[counted(number)]) for number in (10, 30, 30)]
    fake.traffic.traffic["llm"] = looks

    def last() -> None:
        fake.after_answer["GetTraffic"] = lambda: fake.delete("llm")

    fake.after_answer["GetTraffic"] = last
    ran = easel("traffic", "llm", "--watch", "--every", "0", "-o", "json")

    assert ran.code == 3
    (line,) = [json.loads(line) for line in ran.out.splitlines()]
    assert line["versions"][0]["requests"] == 20 and line["versions"][0]["p99_ms"] == 19.8
    fake.create('{"name": "llm"}', "")
    fake.after_answer["GetTraffic"] = last
    assert "/s" in easel("traffic", "llm", "--watch", "--every", "0").out


def test_places_to_connect_to_directly_are_told_by_the_gateway(lonely: CommandLine, fake: FakeAdmin) -> None:
    fake.create('{"name": "llm"}', "")
    items = [{"app": "llm", "ip": "10.0.0.1", "port": 8800, "weight": 2}]
    with recording_http() as gateway:
        lonely.knows(scheduler=fake.address, gateway=gateway.url, token=ADMIN_TOKEN)
        gateway.body = json.dumps({"endpoints": {"items": items}}).encode()
        ran = lonely("direct", "llm")
        gateway.body = b'{"endpoints": {"items": []}}'
        none = lonely("direct", "llm")
        gateway.body = b"<html>"
        odd = lonely("direct", "llm")
        gateway.statuses = [404]
        unknown = lonely("direct", "llm")

    assert gateway.asked[0].path == "/api/v1/servicediscovery/upstreams/llm"
    assert ran.out.splitlines()[1].split() == ["10.0.0.1", "8800", "2"]
    assert none.err == "llm has no place to connect to directly now\n"
    assert (odd.code, unknown.code) == (5, 3)
    assert "answered 404 to who asks where llm is" in unknown.err
