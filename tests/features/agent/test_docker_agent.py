"""An agent whose instances are containers."""

import asyncio
import secrets
import subprocess

import pytest

from easel.agent.v1 import agent_pb2 as pb
from tests.features.agent.conftest import ROOT, AgentProcess
from tests.support.fake_scheduler_link import FakeScheduler
from tests.support.in_flight import in_flight
from tests.support.registry import registry
from tests.support.runtime_stage import SERVER
from tests.support.waiting import until

pytestmark = pytest.mark.docker


async def containers_of(node: str) -> list[str]:
    """Their ids with the instants they were started at."""
    command = f"docker ps --quiet --no-trunc --filter label=easel.node={node}"
    ids = (await asyncio.to_thread(_output, command)).split()
    return [
        await asyncio.to_thread(_output, f"docker inspect -f {{{{.Id}}}}{{{{.State.StartedAt}}}} {each}")
        for each in ids
    ]


async def test_an_agent_that_was_killed_adopts_every_container(
    scheduler: FakeScheduler, agent: AgentProcess
) -> None:
    node = f"t{secrets.token_hex(4)}"
    agent.start(runtime="docker", node=node)
    scheduler.assign(f"{node}-a", SERVER)
    reported = await scheduler.sees_ready(f"{node}-a")
    before = await containers_of(node)

    agent.kill()
    scheduler.reports.clear()
    agent.start(runtime="docker", node=node)

    report = await scheduler.sees_ready(f"{node}-a")
    assert (report.port, report.restarts, report.started_at) == (reported.port, 0, reported.started_at)
    assert await containers_of(node) == before
    scheduler.forget(f"{node}-a")
    await scheduler.sees(f"{node}-a", lambda seen: seen.gone, "to be gone")


async def test_a_crashed_container_is_restarted_and_its_last_words_are_kept(
    scheduler: FakeScheduler, agent: AgentProcess
) -> None:
    node = f"t{secrets.token_hex(4)}"
    agent.start(runtime="docker", node=node)

    scheduler.assign(f"{node}-a", "echo last words; exit 3")

    report = await scheduler.sees(f"{node}-a", lambda seen: "restart 2" in seen.why, "to wait")
    assert report.why == "exited with code 3; restarting in 10 s (restart 2)"
    assert await scheduler.log_of(f"{node}-a") == "last words\nlast words\n"
    scheduler.forget(f"{node}-a")
    await scheduler.sees(f"{node}-a", lambda seen: seen.gone, "to be gone")


async def test_images_that_were_asked_for_are_fetched_and_told_of(
    scheduler: FakeScheduler, agent: AgentProcess
) -> None:
    with registry(login=("reader", "let-me-in")) as serves:
        image = serves.put(f"easel/t{secrets.token_hex(4)}", "1", {"weights": b"heavy"})
        agent.start(runtime="docker", node=f"t{secrets.token_hex(4)}")
        scheduler.pulls = [
            pb.ImagePull(id="right", image=image, user="reader", password="let-me-in"),
            pb.ImagePull(id="wrong", image=image.replace(":1", ":2"), user="reader", password="guess"),
        ]
        try:
            await until(lambda: scheduler.pull_reports.get("right", pb.ImagePullReport()).done)
            failed = await until(
                lambda: (report := scheduler.pull_reports.get("wrong")) and report.failed and report
            )

            assert failed.why.endswith("; trying again in 10 s")
            assert serves.layers_served == 1
            # A new connection begins with all there is.
            scheduler.pull_reports.clear()
            agent.kill()
            agent.start(runtime="docker", node=f"t{secrets.token_hex(4)}")
            await until(lambda: scheduler.pull_reports.get("right", pb.ImagePullReport()).done)
            assert serves.layers_served == 1
        finally:
            await asyncio.to_thread(_output, f"docker rmi --force {image}")


async def test_a_container_restarts_softly_after_the_requests_in_flight_and_stops_alike(
    scheduler: FakeScheduler, agent: AgentProcess
) -> None:
    node = f"t{secrets.token_hex(4)}"
    name, program = f"{node}-a", (ROOT / "tests" / "support" / "toy_model.py").read_text()
    agent.start(runtime="docker", node=node)
    mount = {"mount_path": "/scratch", "empty_dir": {}}
    check = {"exec": {"command": ["test", "!", "-e", "sick"]}, "initial_delay_seconds": 0}
    script = f"cd /scratch; exec python3 - <<'PROGRAM'\n{program}\nPROGRAM"
    scheduler.assign(name, script, storage=[mount], readiness_check=check, drain_ms=60_000)
    before = await scheduler.sees_ready(name)

    async with in_flight(before) as lines:
        scheduler.assignments[name].run = 1
        scheduler.say_desired()
        await scheduler.sees(name, lambda seen: seen.connections == 1, "to wait for one connection")
        await asyncio.to_thread(_output, f"docker exec easel-{name} touch /scratch/release")
        assert await anext(lines) == "last"

    after = await scheduler.sees(name, lambda seen: seen.ready and seen.run == 1, "to run anew")
    assert (after.restarts, after.started_at != before.started_at) == (0, True)
    await asyncio.to_thread(_output, f"docker exec easel-{name} test -e /scratch/release")
    scheduler.ask_to_stop(name)
    await scheduler.sees(name, lambda seen: seen.gone, "to be gone")


def _output(command: str) -> str:
    return subprocess.run(command.split(), capture_output=True, text=True, check=True, timeout=30).stdout
