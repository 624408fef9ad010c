"""What an operator can turn on: traces, an access log, Envoys that dial in over TCP."""

import json
from pathlib import Path

import pytest

from services.gateway.envoy import process
from services.gateway.runtime import envoy_dial
from services.gateway.xds.bootstrap import bootstrap
from tests.support.free_ports import free_port
from tests.support.gateway_harness import EchoBackend, bearer, harness, service
from tests.support.otlp_collector import otlp_collector
from tests.support.waiting import until

TRACE = "0af7651916cd43dd8448eb211c80319c"


async def test_a_request_joins_the_trace_of_its_client_and_carries_it_to_the_instance(
    tmp_path: Path, echo: EchoBackend
) -> None:
    with otlp_collector() as collector:
        async with harness(tmp_path, otlp_endpoint=collector.endpoint) as gateway:
            await gateway.serve(service("svc", echo.port))
            parent = {"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}

            answer = await gateway.http.get(f"{gateway.url}/api/predict/svc", headers=bearer() | parent)

            spans = await until(lambda: collector.trace(TRACE), "the span of the request")
    seen = answer.json()["headers"]["traceparent"].split("-")
    assert seen[1] == TRACE
    assert seen[2] in {span.span_id for span in spans}
    assert spans[0].parent_id == "b7ad6b7169203331"


async def test_without_a_collector_a_trace_context_passes_untouched(
    tmp_path: Path, echo: EchoBackend
) -> None:
    async with harness(tmp_path) as gateway:
        await gateway.serve(service("svc", echo.port))
        parent = {"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}

        answer = await gateway.http.get(f"{gateway.url}/api/predict/svc", headers=bearer() | parent)

    assert answer.json()["headers"]["traceparent"] == parent["traceparent"]


async def test_the_access_log_is_one_json_line_a_request(tmp_path: Path, echo: EchoBackend) -> None:
    log_file = tmp_path / "access.json"
    async with harness(tmp_path / "data", access_log=log_file) as gateway:
        await gateway.serve(service("svc", echo.port))

        await gateway.http.get(f"{gateway.url}/api/predict/svc/a", headers=bearer())

    line = json.loads(log_file.read_text().splitlines()[0])
    assert (line["path"], line["status"], line["upstream"]) == ("/a", 200, "svc/1")
    assert bearer()["Authorization"] not in log_file.read_text()


@pytest.mark.parametrize("token", ["join", "wrong"])
async def test_an_envoy_that_dials_in_over_tcp_is_served_if_it_shows_the_join_token(
    tmp_path: Path, echo: EchoBackend, token: str
) -> None:
    more = {"xds_listen": f"127.0.0.1:{free_port()}", "join_token": "join", "envoy": False}
    async with harness(tmp_path / "gateway", **more) as gateway:
        settings = gateway.settings.model_copy(update={"data_dir": tmp_path / "elsewhere"})
        launch = process.Launch(
            settings.data_dir, bootstrap(envoy_dial(settings, settings.xds_listen, token)), 1
        )
        settings.data_dir.mkdir()
        running = process.start(launch)
        try:
            generation = gateway.scheduler.set(service("svc", echo.port))
            if token == "join":
                await gateway.scheduler.until_applied(generation)
                answer = await gateway.http.get(f"{gateway.url}/api/predict/svc", headers=bearer())
                assert answer.status_code == 200
            else:
                refused = "not known here"
                await until(lambda: refused in (settings.data_dir / "envoy.log").read_text(), "the refusal")
                assert gateway.scheduler.applied == []
        finally:
            await process.stop(running, launch)
