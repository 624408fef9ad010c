"""What is seen of containers while they are being started."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import docker
import pytest

from services.agent.runtime.port import Running
from tests.support.runtime_stage import Stage

pytestmark = pytest.mark.docker

STARTS, AT_ONCE = 16, 4


async def test_what_is_being_started_is_never_seen_as_ended_and_once_started_has_its_port(
    docker_stage: Stage,
) -> None:
    starting, turns = set(range(STARTS)), asyncio.Semaphore(AT_ONCE)
    looks: list[tuple[frozenset[str], Sequence[Running]]] = []
    begun: set[str] = set()

    async def start(number: int) -> None:
        async with turns:
            running = await docker_stage.start(docker_stage.a_workload(str(number), script="sleep 600"))
            begun.add(running.id)
        starting.discard(number)

    async def look() -> None:
        while starting:
            found = await docker_stage.runtime.instances()
            looks.append((frozenset(begun), found))

    await asyncio.gather(*(start(number) for number in range(STARTS)), look(), look())

    seen = [(before, running) for before, found in looks for running in found]
    assert [running.exit for _, running in seen if running.exit is not None] == []
    assert [running.id for before, running in seen if running.id in before and not running.port] == []


async def test_a_container_that_nobody_starts_has_ended(docker_stage: Stage) -> None:
    workload = docker_stage.a_workload(script="sleep 600")
    running = await docker_stage.start(workload)
    await docker_stage.runtime.ensure_ended(running.id, timedelta(0), False)
    await asyncio.to_thread(made_anew_and_not_started, f"easel-{running.id}")

    found = await docker_stage.find(workload)

    assert found is not None
    assert found.exit is not None
    assert found.exit.why == "could not start: the agent ended while starting it"


def made_anew_and_not_started(name: str) -> None:
    """As an agent leaves it that is killed between the two."""
    api: Any = docker.APIClient(version="auto")
    try:
        made = api.inspect_container(name)
        api.remove_container(name, force=True)
        labels, image = made["Config"]["Labels"], made["Config"]["Image"]
        api.create_container(image, command=["sleep", "600"], name=name, labels=labels)
    finally:
        api.close()
