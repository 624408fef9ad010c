"""What a trace collector sees of an Easel that has one: a deployment is one trace, and so is a request."""

from collections.abc import Iterator

import httpx
import pytest

from tests.e2e.services import TOKEN, a_process_service
from tests.support.embedded import EmbeddedEasel, embedded_easel
from tests.support.otlp_collector import CollectedSpan, OtlpCollector, otlp_collector
from tests.support.waiting import until


@pytest.fixture(scope="module")
def collector() -> Iterator[OtlpCollector]:
    with otlp_collector() as running:
        yield running


@pytest.fixture(scope="module")
def easel(collector: OtlpCollector, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedEasel]:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("EASEL_OTLP_ENDPOINT", collector.endpoint)
        with embedded_easel(tmp_path_factory.mktemp("traced")) as running:
            yield running


def parts(spans: list[CollectedSpan]) -> set[tuple[str, str]]:
    return {(span.service, span.name) for span in spans}


async def test_a_deployment_is_one_trace_from_the_command_to_the_applied_routes(
    easel: EmbeddedEasel, collector: OtlpCollector
) -> None:
    story = {
        ("easel-cli", "easel create"),
        ("easel-cli", "easel.admin.v1.ServiceService/CreateService"),
        ("easel-scheduler", "easel.admin.v1.ServiceService/CreateService"),
        ("easel-scheduler", "instance.placed"),
        ("easel-agent", "agent.start"),
        ("easel-agent", "agent.ready"),
        ("easel-scheduler", "instance.ready"),
        ("easel-scheduler", "routes.applied"),
    }

    easel.create(a_process_service(easel.home, "traced", "echo.py"))

    root = (await until(lambda: collector.named("easel create"), "the span of the command"))[0]
    await until(
        lambda: story <= parts(collector.trace(root.trace_id)),
        "all the story in one trace, with every service",
    )
    whole = collector.trace(root.trace_id)
    known = {span.span_id for span in whole}
    assert [span.name for span in whole if span.parent_id not in known] == ["easel create"]
    assert not [span for span in whole if span.failed]


async def test_a_request_is_one_trace_from_its_client_through_envoy_to_the_instance(
    easel: EmbeddedEasel, collector: OtlpCollector
) -> None:
    easel.create(a_process_service(easel.home, "asked", "echo.py"))
    trace_id = "0af7651916cd43dd8448eb211c80319c"

    async with httpx.AsyncClient(timeout=20) as client:
        answer = await client.get(
            f"{easel.context.gateway}/api/predict/asked",
            headers={"Authorization": TOKEN, "traceparent": f"00-{trace_id}-b7ad6b7169203331-01"},
        )

    seen = {name.lower(): value for name, value in answer.json()["headers"].items()}["traceparent"]
    span = (await until(lambda: collector.trace(trace_id), "Envoy's span"))[0]
    assert answer.status_code == 200
    assert (span.service, span.parent_id) == ("easel-envoy", "b7ad6b7169203331")
    assert seen.split("-")[1:3] == [trace_id, span.span_id]
