"""Programs post their metrics to localhost or to their own address, in every runtime."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from libs.domain.states import Runtime as RuntimeName
from services.agent.runtime.port import Running
from services.agent.telemetry.address import kept_address
from services.agent.telemetry.entrance import Desk
from services.agent.telemetry.inlets import Inlets
from services.agent.telemetry.posted import Posted
from services.agent.workload import Workload
from tests.support.free_ports import free_port
from tests.support.runtime_stage import Stage
from tests.support.waiting import until

POST = """exec python3 -c '
import os, time, urllib.error, urllib.request
body = os.environ["EASEL_INSTANCE"].encode()
body = b"[{{\\"name\\": \\"who\\", \\"tags\\": {{\\"is\\": \\"" + body + b"\\"}}, \\"value\\": 1}}]"
while True:
    try:
        made = urllib.request.Request({url}, body, method="POST")
        print(urllib.request.urlopen(made, timeout=5).read(), flush=True)
    except urllib.error.HTTPError as refused:
        print(refused.code, refused.read(), flush=True)
    except OSError as away:
        print("away", away, flush=True)
    time.sleep(0.1)
'"""
DECLARED = {"who": frozenset({"is"})}


@dataclass
class Here:
    """The instances of one node."""

    stage: Stage
    workloads: dict[str, Workload] = field(default_factory=dict)
    found: list[Running] = field(default_factory=list)

    def running(self) -> list[Running]:
        return self.found

    def workload(self, instance: str) -> Workload | None:
        return self.workloads.get(instance)

    async def start(self, workload: Workload) -> None:
        self.workloads[workload.id] = workload
        self.found.append(await self.stage.start(workload))


@contextlib.asynccontextmanager
async def open_inlets(
    here: Here, directory: Path, usual_port: int
) -> AsyncIterator[tuple[Posted, "asyncio.Task[None]"]]:
    posted = Posted()
    address = kept_address(directory)
    inlets = Inlets(address, here.stage.runtime, here, Desk(here.workload, posted), usual_port)
    task = asyncio.create_task(inlets.run())
    try:
        yield posted, task
    finally:
        task.cancel()
        await asyncio.wait([task])


async def who_posted(posted: Posted, count: int) -> set[tuple[str, str]]:
    """Instances, and who their programs say that they are."""
    found: set[tuple[str, str]] = set()

    def look() -> bool:
        found.update((instance, dict(value.tags)["is"]) for instance, value in posted.untold())
        return len(found) >= count

    await until(look, f"{count} of them to post")
    return found


async def test_programs_that_post_to_localhost_are_told_apart(stage: Stage, tmp_path: Path) -> None:
    if os.getuid() != 0 and stage.runtime.name is RuntimeName.DOCKER:
        pytest.skip("only root gets into the network of a container")
    port, here = free_port(), Here(stage)
    url = f'"http://localhost:{port}/api/builtin/realtime_metrics"'
    workloads = [stage.a_workload(name, script=POST.format(url=url), metrics=DECLARED) for name in ("a", "b")]

    async with open_inlets(here, tmp_path, port) as (posted, _):
        for workload in workloads:
            await here.start(workload)
        found = await who_posted(posted, 2)

    assert found == {(workload.id, workload.id) for workload in workloads}


async def test_programs_post_to_the_address_they_are_given(stage: Stage, tmp_path: Path) -> None:
    here, address = Here(stage), kept_address(tmp_path)
    workload = stage.a_workload(script=POST.format(url='os.environ["EASEL_METRICS_URL"]'), metrics=DECLARED)
    url = address.url(workload.id, await stage.runtime.node_address())

    async with open_inlets(here, tmp_path, free_port()) as (posted, _):
        await here.start(replace(workload, metrics_url=url))
        found = await who_posted(posted, 1)

    assert found == {(workload.id, workload.id)}
