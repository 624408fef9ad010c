"""Easel in one process, as `easel up` starts it: the whole path, and what a crash of it costs (nothing)."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import grpc
import pytest
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from easel_sdk import Easel
from tests.e2e.services import TOKEN, a_process_service, call
from tests.support.embedded import EmbeddedEasel, done, embedded_easel
from tests.support.load import steady_load
from tests.support.waiting import until


@pytest.fixture(scope="module")
def easel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedEasel]:
    with embedded_easel(tmp_path_factory.mktemp("easel")) as running:
        yield running


def ready(easel: EmbeddedEasel, name: str) -> list[tuple[str, int, datetime | None]]:
    """The ready instances of a service, each with what would change if it were started again."""
    with Easel.of(easel.context) as client:
        return sorted(
            (i.id, i.restarts, i.started_at) for i in client.instances.list(service=name) if i.ready
        )


def url(easel: EmbeddedEasel, name: str) -> str:
    return f"{easel.context.gateway}/api/predict/{name}"


def test_a_second_up_says_so_and_leaves_the_first_alone(easel: EmbeddedEasel) -> None:
    first = easel.control_plane()

    second = easel.try_up()

    assert "already" in second.stdout + second.stderr
    assert easel.control_plane() == first


def test_a_service_is_created_called_and_scaled(easel: EmbeddedEasel) -> None:
    easel.create(a_process_service(easel.home, "scaled", "echo.py"))
    scaled = url(easel, "scaled")
    answer = call(f"{scaled}/some/path", content="hello")
    refused = call(scaled, token="another")

    done(easel.easel("scale", "scaled", "2", "--wait"))

    assert (answer.status_code, answer.json()["path"], answer.json()["body"]) == (200, "/some/path", "hello")
    assert refused.status_code == 401
    assert len(ready(easel, "scaled")) == 2
    done(easel.easel("delete", "scaled", "--wait"))


async def test_killing_the_whole_control_plane_fails_no_request_and_restarts_nothing(
    easel: EmbeddedEasel,
) -> None:
    easel.create(a_process_service(easel.home, "steady", "echo.py", instances=2))
    before = ready(easel, "steady")

    with steady_load(url(easel, "steady"), {"Authorization": TOKEN}) as load:
        await load.more()
        easel.control_plane().kill()
        await load.more(500)
        easel.up()
        await until(lambda: ready(easel, "steady") == before, "the same instances, adopted")
        await load.more()

    assert load.failures == []
    assert len(load.runs) == 2
    assert ready(easel, "steady") == before
    done(easel.easel("delete", "steady", "--wait"))


def test_reflection_lists_the_admin_api(easel: EmbeddedEasel) -> None:
    with grpc.insecure_channel(easel.context.scheduler) as channel:
        services = set(ProtoReflectionDescriptorDatabase(channel).get_services())

    assert {
        "easel.admin.v1.ServiceService",
        "easel.admin.v1.InstanceService",
        "easel.admin.v1.NodeService",
        "easel.admin.v1.EventService",
        "easel.admin.v1.TokenService",
    } <= services


def test_a_streaming_grpc_call_passes_the_gateway(easel: EmbeddedEasel) -> None:
    easel.create(a_process_service(easel.home, "streams", "grpc_echo.py", enable_grpc=True))
    gateway = easel.context.gateway.removeprefix("http://")
    options = [("grpc.default_authority", "streams.easel.local")]

    with grpc.insecure_channel(gateway, options=options) as channel:
        call = channel.stream_stream("/test.Echo/Stream")(
            iter([b"one", b"two", b"three"]), metadata=[("authorization", TOKEN)], timeout=20
        )
        answers = list(call)

    assert answers == [b"echo one", b"echo two", b"echo three"]
    assert ("echoed", "all") in list(call.trailing_metadata())
    done(easel.easel("delete", "streams", "--wait"))


def test_down_leaves_nothing_running(tmp_path: Path) -> None:
    with embedded_easel(tmp_path) as easel:
        easel.create(a_process_service(tmp_path, "gone", "echo.py"))

        done(easel.down())

        assert [process.cmdline() for process in easel.processes()] == []
