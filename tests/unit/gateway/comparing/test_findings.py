"""What is kept of comparisons: bounded, as a level, and without secrets. What of a request is put again."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from envoy.config.core.v3.base_pb2 import HeaderValue
from envoy.data.tap.v3.http_pb2 import HttpBufferedTrace

from services.gateway.comparing.compare import Difference, compared
from services.gateway.comparing.findings import Findings
from services.gateway.comparing.sample import Answer, Sample, asked_again, path_at, sample_of
from services.gateway.routes import Mirror

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
ANSWER = Answer(200, b"1", timedelta(milliseconds=10), "application/json")
SAMPLE = Sample(
    instance=("10.0.0.1", 9000),
    method="POST",
    authority="main.easel.local",
    path="/v1/x?key=secret",
    headers=(("authorization", "t0ken"), ("cookie", "s=1"), ("x-model", "a"), ("content-length", "1")),
    body=b"q",
    answer=ANSWER,
)
SHADOW = Mirror("shadow", 100)


def the_findings() -> Findings:
    return Findings(lambda: NOON)


def with_pair(findings: Findings, answer: Answer, sample: Sample = SAMPLE) -> Difference:
    how = compared(sample.answer, answer)
    findings.pair("main", "shadow", sample, answer, how)
    return how


def test_pairs_are_counted_by_how_they_compare() -> None:
    findings = the_findings()
    with_pair(findings, ANSWER)
    with_pair(findings, replace(ANSWER, body=b"2"))
    with_pair(findings, replace(ANSWER, status=500))
    with_pair(findings, replace(ANSWER, content_type="text/event-stream"))
    findings.unanswered("main", "shadow")

    [told] = findings.report().comparisons.comparisons

    assert (told.service, told.target, told.pairs) == ("main", "shadow", 5)
    assert (told.same_status, told.same_body, told.not_compared, told.unanswered) == (3, 1, 1, 1)
    assert [list(each.differences) for each in told.differing] == [["status: 200 → 500"], ["$: 1 → 2"]]


def test_only_the_newest_that_differed_are_kept() -> None:
    findings = the_findings()
    for number in range(100):
        with_pair(findings, replace(ANSWER, body=b"2"), replace(SAMPLE, path=f"/{number}"))

    [told] = findings.report().comparisons.comparisons

    assert told.pairs == 100
    assert [each.path for each in told.differing] == [f"/{number}" for number in range(99, 79, -1)]


def test_latency_differences_become_quantiles() -> None:
    findings = the_findings()
    for milliseconds in range(100):
        with_pair(findings, replace(ANSWER, latency=timedelta(milliseconds=10 + milliseconds)))

    [told] = findings.report().comparisons.comparisons

    assert told.latency_difference_p50_ms == pytest.approx(50)
    assert told.latency_difference_p99_ms == pytest.approx(99)


def test_no_secret_of_a_request_is_in_what_is_told() -> None:
    findings = the_findings()
    with_pair(findings, replace(ANSWER, body=b"2"))

    told = findings.report().SerializeToString()

    assert b"t0ken" not in told
    assert b"secret" not in told


def test_what_is_not_compared_any_more_is_forgotten_and_that_is_news() -> None:
    findings = the_findings()
    with_pair(findings, ANSWER)
    findings.report()

    findings.keep({("main", "other")})

    assert findings.changed
    assert not findings.report().comparisons.comparisons


def test_a_request_is_put_again_without_what_opens_the_service() -> None:
    question = asked_again(SAMPLE, "main", keeps_path=False, mirror=SHADOW)

    assert question.headers == (
        ("host", "main.easel.local"),
        ("x-model", "a"),
        ("accept-encoding", "identity"),
        ("x-easel-mirror-of", "main"),
    )
    assert (question.method, question.path, question.body) == ("POST", "/v1/x?key=secret", b"q")


@pytest.mark.parametrize(
    ("path", "service_keeps", "target_keeps", "at"),
    [
        ("/x?a=b", False, False, "/x?a=b"),
        ("/x?a=b", False, True, "/api/predict/shadow/x?a=b"),
        ("/api/predict/main/x", True, True, "/api/predict/shadow/x"),
        ("/api/predict/main?a=b", True, True, "/api/predict/shadow?a=b"),
        ("/api/predict/group.main/x", True, False, "/x"),
        ("/api/predict/main?a=b", True, False, "/?a=b"),
        ("/api/predict/main", True, False, "/"),
        ("/x", True, False, "/x"),
        ("/api/predict/own", False, True, "/api/predict/shadow/api/predict/own"),
    ],
)
def test_a_request_is_put_at_the_path_that_the_target_expects(
    path: str, service_keeps: bool, target_keeps: bool, at: str
) -> None:
    assert path_at(path, service_keeps, replace(SHADOW, keep_path=target_keeps)) == at


def a_trace(**asked: Any) -> HttpBufferedTrace:
    trace = HttpBufferedTrace()
    values = {":method": "POST", ":path": "/x", ":authority": "a", ":status": "200"} | asked
    for name, value in values.items():
        headers = trace.response.headers if name == ":status" else trace.request.headers
        headers.append(HeaderValue(key=name, value=value))
    trace.upstream_connection.remote_address.socket_address.address = "10.0.0.1"
    trace.upstream_connection.remote_address.socket_address.port_value = 9000
    trace.request.body.as_bytes = b"q"
    trace.response.body.as_bytes = b"1"
    trace.response.headers_received_time.FromMilliseconds(10)
    return trace


def test_what_was_recorded_becomes_a_sample() -> None:
    sample = sample_of(a_trace(**{"x-model": "a"}))

    assert sample is not None
    assert (sample.instance, sample.method, sample.path) == (("10.0.0.1", 9000), "POST", "/x")
    assert sample.headers == (("x-model", "a"),)
    assert (sample.answer.status, sample.answer.body) == (200, b"1")
    assert sample.answer.latency == timedelta(milliseconds=10)


def test_what_cannot_be_put_again_is_no_sample() -> None:
    cut, unasked = a_trace(), a_trace()
    cut.request.body.truncated = True
    unasked.ClearField("upstream_connection")

    for trace in (cut, unasked, a_trace(upgrade="websocket"), a_trace(**{":status": "101"})):
        assert sample_of(trace) is None
