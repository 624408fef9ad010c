"""Traces: off without an endpoint, joined across services with one, and never in the way."""

import io
import logging
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from json import loads
from pathlib import Path

import grpc
import grpc.aio
import pytest
from google.protobuf.wrappers_pb2 import StringValue

from libs.telemetry.logs import JsonLines
from libs.telemetry.traces import Traces, configure_traces, inject
from tests.support.otlp_collector import otlp_collector
from tests.support.waiting import until

ROOT = Path(__file__).parents[3]
Context = grpc.aio.ServicerContext


def test_without_an_endpoint_nothing_of_opentelemetry_is_imported() -> None:
    script = (
        "import sys\n"
        "from libs.telemetry.traces import configure_traces, inject\n"
        "with configure_traces('agent', '') as traces, traces.span('work') as span:\n"
        "    span.set_attribute('why', 'test')\n"
        "    assert inject() == '' and not traces.enabled\n"
        "    assert traces.client_interceptors() == traces.server_interceptors() == []\n"
        "print([name for name in sys.modules if name.startswith('opentelemetry')])\n"
    )

    ran = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=30, check=False
    )

    assert (ran.stdout.strip(), ran.stderr) == ("[]", "")


async def test_two_services_of_one_process_share_a_trace_under_their_own_names() -> None:
    with otlp_collector() as collector:
        with (
            configure_traces("scheduler", collector.endpoint) as scheduler,
            configure_traces("agent", collector.endpoint) as agent,
        ):
            with scheduler.span("create service"):
                stored = inject()
            with agent.span("start instance", parent=stored, attributes={"instance": "i-1"}):
                pass

        created = (await until(lambda: collector.named("create service"), "the first span"))[0]
        started = (await until(lambda: collector.named("start instance"), "the second span"))[0]

    assert (created.service, started.service) == ("scheduler", "agent")
    assert collector.trace(created.trace_id) == [created, started]
    assert started.parent_id == created.span_id
    assert started.attributes["instance"] == "i-1"


async def test_work_that_already_happened_keeps_its_own_times() -> None:
    noon = datetime(2024, 5, 1, 12, tzinfo=UTC)
    with otlp_collector() as collector:
        with configure_traces("scheduler", collector.endpoint) as traces:
            with traces.span("deployment"):
                stored = inject()
            traces.record("until first ready", stored, noon, noon + timedelta(seconds=2))

        late = (await until(lambda: collector.named("until first ready"), "the span"))[0]

    assert late.ended_ns - late.started_ns == 2_000_000_000
    assert late.trace_id == stored.split("-")[1]


async def test_an_error_fails_the_span_and_travels_on() -> None:
    with otlp_collector() as collector:
        with (
            configure_traces("agent", collector.endpoint) as traces,
            pytest.raises(RuntimeError),
            traces.span("pull image"),
        ):
            raise RuntimeError("no such image")

        span = (await until(lambda: collector.named("pull image"), "the span"))[0]

    assert span.failed
    assert "no such image" in span.why


async def test_a_malformed_parent_begins_a_new_trace() -> None:
    with otlp_collector() as collector:
        with (
            configure_traces("agent", collector.endpoint) as traces,
            traces.span("work", parent="00-nonsense"),
        ):
            pass

        span = (await until(lambda: collector.named("work"), "the span"))[0]

    assert span.parent_id == ""


async def test_a_log_line_inside_a_span_names_its_trace() -> None:
    with otlp_collector() as collector, configure_traces("agent", collector.endpoint) as traces:
        record = logging.makeLogRecord({"msg": "pulled"})
        with traces.span("pull image"):
            line = loads(JsonLines().format(record))
            current = inject()

    assert line["trace"] == current.split("-")[1]


def test_an_absent_collector_costs_nothing_but_one_log_line() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        endpoint = f"127.0.0.1:{held.getsockname()[1]}"
        out = io.StringIO()
        handler = logging.StreamHandler(out)
        handler.setFormatter(JsonLines())
        logging.getLogger().addHandler(handler)
        try:
            with configure_traces("agent", endpoint) as traces, traces.span("work"):
                pass
        finally:
            logging.getLogger().removeHandler(handler)

    lines = [loads(line) for line in out.getvalue().splitlines()]
    assert [(line["message"], line["endpoint"]) for line in lines] == [
        ("trace collector is away, spans are dropped", endpoint)
    ]


async def test_a_collector_that_comes_late_gets_the_spans_that_follow() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
    with configure_traces("agent", f"http://127.0.0.1:{port}") as traces:
        with traces.span("dropped or kept"):
            pass
        with otlp_collector(port) as collector:

            def seen() -> bool:
                with traces.span("while it is there"):
                    pass
                return bool(collector.named("while it is there"))

            await until(seen, "a span after the collector came")


# ------------------------------------------------------------------- grpc


async def _greet(
    request: StringValue, context: "grpc.aio.ServicerContext[StringValue, StringValue]"
) -> StringValue:
    if request.value == "nobody":
        await context.abort(grpc.StatusCode.NOT_FOUND, "nobody is not here")
    return StringValue(value=inject())


async def _count(request: StringValue, context: Context) -> AsyncIterator[StringValue]:
    for word in request.value.split():
        yield StringValue(value=word)


@asynccontextmanager
async def _greeter(server_side: Traces, client_side: Traces) -> AsyncIterator[grpc.aio.Channel]:
    codec = {
        "request_deserializer": StringValue.FromString,
        "response_serializer": StringValue.SerializeToString,
    }
    handlers = {
        "Greet": grpc.unary_unary_rpc_method_handler(_greet, **codec),
        "Count": grpc.unary_stream_rpc_method_handler(_count, **codec),
    }
    server = grpc.aio.server(interceptors=server_side.server_interceptors())
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Greeter", handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(
            f"127.0.0.1:{port}", interceptors=client_side.client_interceptors()
        ) as channel:
            yield channel
    finally:
        await server.stop(grace=None)


def _call(channel: grpc.aio.Channel, kind: str, method: str) -> "grpc.aio.UnaryUnaryMultiCallable":
    return getattr(channel, kind)(
        f"/test.Greeter/{method}",
        request_serializer=StringValue.SerializeToString,
        response_deserializer=StringValue.FromString,
    )


async def test_a_call_is_one_trace_from_the_caller_through_the_server() -> None:
    with otlp_collector() as collector:
        with (
            configure_traces("cli", collector.endpoint) as cli,
            configure_traces("scheduler", collector.endpoint) as scheduler,
        ):
            async with _greeter(scheduler, cli) as channel:
                with cli.span("easel create"):
                    answer = await _call(channel, "unary_unary", "Greet")(
                        StringValue(value="you"), metadata=(("authorization", "Bearer t"),), timeout=5
                    )

        trace_id = answer.value.split("-")[1]
        spans = await until(
            lambda: collector.trace(trace_id) if len(collector.trace(trace_id)) == 3 else None, "three spans"
        )

    assert [(span.service, span.name) for span in spans] == [
        ("cli", "easel create"),
        ("cli", "test.Greeter/Greet"),
        ("scheduler", "test.Greeter/Greet"),
    ]
    assert [span.parent_id for span in spans] == ["", spans[0].span_id, spans[1].span_id]
    assert not any(span.failed for span in spans)


async def test_a_refused_call_fails_both_spans_and_reaches_the_caller_unchanged() -> None:
    with otlp_collector() as collector:
        with (
            configure_traces("cli", collector.endpoint) as cli,
            configure_traces("scheduler", collector.endpoint) as scheduler,
        ):
            async with _greeter(scheduler, cli) as channel:
                with pytest.raises(grpc.aio.AioRpcError) as refused:
                    await _call(channel, "unary_unary", "Greet")(StringValue(value="nobody"), timeout=5)

        spans = await until(
            lambda: collector.spans if len(collector.spans) == 2 else None, "the spans of both sides"
        )

    assert refused.value.code() is grpc.StatusCode.NOT_FOUND
    assert refused.value.details() == "nobody is not here"
    assert {(span.failed, span.why) for span in spans} == {(True, "NOT_FOUND: nobody is not here")}


async def test_a_stream_of_answers_is_whole_and_recorded_until_its_first_message() -> None:
    with otlp_collector() as collector:
        with (
            configure_traces("cli", collector.endpoint) as cli,
            configure_traces("scheduler", collector.endpoint) as scheduler,
        ):
            async with _greeter(scheduler, cli) as channel:
                answers = _call(channel, "unary_stream", "Count")(
                    StringValue(value="one two three"), timeout=5
                )
                words = [answer.value async for answer in answers]

        spans = await until(
            lambda: collector.spans if len(collector.spans) == 2 else None, "the spans of both sides"
        )

    assert words == ["one", "two", "three"]
    assert {span.service for span in spans} == {"cli", "scheduler"}
    assert len({span.trace_id for span in spans}) == 1


async def test_calls_work_with_traces_on_one_side_only() -> None:
    with otlp_collector() as collector:
        with configure_traces("scheduler", collector.endpoint) as scheduler:
            async with _greeter(scheduler, Traces()) as channel:
                answer = await _call(channel, "unary_unary", "Greet")(StringValue(value="you"), timeout=5)

        span = (await until(lambda: collector.named("test.Greeter/Greet"), "the server's span"))[0]

    assert answer.value.split("-")[1] == span.trace_id
    assert span.parent_id == ""
