"""What the Docker runtime holds while it works, and that it lets go of it."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import docker
import pytest

from services.agent.runtime.docker_runtime import DockerRuntime, DockerSettings
from tests.contract.agent.conftest import IMAGE
from tests.support.runtime_stage import Stage
from tests.support.waiting import until

pytestmark = pytest.mark.docker


async def test_a_followed_log_that_nobody_reads_any_more_is_let_go(docker_stage: Stage) -> None:
    workload = docker_stage.a_workload(script="yes something to say | head -c 1000000; sleep 600")
    await docker_stage.start(workload)
    before = threading.active_count()

    for _ in range(3):
        lines = docker_stage.runtime.logs(workload.id, tail=0, follow=True)
        await anext(lines)
        await lines.aclose()  # type: ignore[attr-defined]

    await until(lambda: threading.active_count() <= before, "the readers to end")


async def test_a_long_stop_holds_up_no_other_call(docker_stage: Stage) -> None:
    stubborn = [
        docker_stage.a_workload(f"s{n}", script="trap '' TERM; while :; do sleep 1; done") for n in range(8)
    ]
    await asyncio.gather(*(docker_stage.start(each) for each in stubborn))
    stops = [
        asyncio.create_task(docker_stage.runtime.ensure_absent(each.id, timedelta(seconds=60), True))
        for each in stubborn
    ]
    await asyncio.sleep(0)

    found = await asyncio.wait_for(docker_stage.runtime.instances(), 20)

    assert len(found) == len(stubborn)
    for stop in stops:
        stop.cancel()
    await asyncio.gather(*stops, return_exceptions=True)


async def test_a_container_with_strange_labels_hides_no_other(docker_stage: Stage) -> None:
    workload = docker_stage.a_workload(script="sleep 600")
    await docker_stage.start(workload)

    with strange_container({"easel.node": docker_stage.prefix}):
        found = await docker_stage.runtime.instances()

    assert [running.id for running in found] == [workload.id]


async def test_what_was_stopped_is_not_remembered(docker_stage: Stage) -> None:
    runtime = docker_stage.runtime
    assert isinstance(runtime, DockerRuntime)
    exits = runtime.exits()
    await anext(exits)
    workload = docker_stage.a_workload(script="exit 3")
    await docker_stage.start(workload)
    await until(lambda: runtime.remembered_ends, "the end to be heard")
    await runtime.ensure_absent(workload.id, timedelta(0), False)

    await runtime.instances()

    assert runtime.remembered_ends == 0


async def test_an_engine_that_hangs_is_asked_for_images_once_in_a_while(tmp_path: Path) -> None:
    asked: list[Any] = []

    async def hang(*connection: Any) -> None:
        asked.append(connection)
        await asyncio.Event().wait()

    async with await asyncio.start_unix_server(hang, tmp_path / "engine.sock"):
        runtime = DockerRuntime(DockerSettings("n", "127.0.0.1", "", f"unix://{tmp_path}/engine.sock"))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(runtime.images(), 0.2)
        assert await asyncio.wait_for(runtime.images(), 20) == ()

    assert len(asked) == 1


@contextmanager
def strange_container(labels: dict[str, str]) -> Iterator[None]:
    with closing(docker.from_env()) as client:
        container = client.containers.create(IMAGE, "true", labels=labels)
        try:
            yield
        finally:
            container.remove(force=True)
