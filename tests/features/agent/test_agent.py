"""What an agent does about what its scheduler says, whatever happens to either of them."""

import asyncio
import json
import os
import signal
import socket
from pathlib import Path

import httpx
import pytest

from easel.agent.v1 import agent_pb2 as pb
from easel.common.v1 import common_pb2 as common
from tests.features.agent.conftest import AgentProcess
from tests.support.fake_scheduler_link import FakeScheduler, listening
from tests.support.free_ports import free_port
from tests.support.runtime_stage import SERVER
from tests.support.waiting import until


def pid_of(agent: AgentProcess, instance: str) -> str:
    """Who runs it: equal before and after only if nothing was restarted."""
    return (agent.directory / "instances" / instance / "monitor.json").read_text()


def instances_of(agent: AgentProcess) -> list[str]:
    return [path.name for path in (agent.directory / "instances").iterdir()]


async def test_an_assigned_instance_becomes_ready_and_answers(
    scheduler: FakeScheduler, agent: AgentProcess
) -> None:
    agent.start()
    scheduler.assign("i-1", SERVER)

    report = await scheduler.sees_ready("i-1")

    async with httpx.AsyncClient(trust_env=False) as client:
        assert (await client.get(f"http://{report.address}:{report.port}/")).status_code == 200
    assert report.state == common.INSTANCE_STATE_RUNNING
    assert scheduler.tokens == {"Bearer let-me-in"}


async def test_an_agent_that_was_killed_adopts_everything_and_restarts_nothing(
    scheduler: FakeScheduler, agent: AgentProcess
) -> None:
    agent.start()
    for instance in ("i-1", "i-2"):
        scheduler.assign(instance, SERVER)
        await scheduler.sees_ready(instance)
    before = {instance: pid_of(agent, instance) for instance in ("i-1", "i-2")}
    reported = dict(scheduler.reports)

    agent.kill()
    scheduler.reports.clear()
    agent.start()

    for instance in ("i-1", "i-2"):
        report = await scheduler.sees_ready(instance)
        assert (report.port, report.restarts) == (reported[instance].port, 0)
        assert report.started_at == reported[instance].started_at
    assert {report.id for report in scheduler.hellos[-1].running} == {"i-1", "i-2"}
    assert {instance: pid_of(agent, instance) for instance in ("i-1", "i-2")} == before


async def test_sigterm_leaves_the_instances_running(scheduler: FakeScheduler, agent: AgentProcess) -> None:
    agent.start()
    scheduler.assign("i-1", SERVER)
    await scheduler.sees_ready("i-1")
    before = pid_of(agent, "i-1")

    assert agent.end(signal.SIGTERM) == 0
    scheduler.reports.clear()
    agent.start()

    await scheduler.sees_ready("i-1")
    assert pid_of(agent, "i-1") == before


async def test_an_agent_told_to_stops_its_instances_with_itself(
    scheduler: FakeScheduler, agent: AgentProcess
) -> None:
    agent.start(stop_instances_on_exit="true")
    scheduler.assign("i-1", SERVER)
    await scheduler.sees_ready("i-1")

    assert agent.end(signal.SIGTERM) == 0

    assert instances_of(agent) == []


async def test_an_older_epoch_is_refused(scheduler: FakeScheduler, agent: AgentProcess) -> None:
    scheduler.epoch = 5
    agent.start()
    scheduler.assign("i-1", SERVER)
    await scheduler.sees_ready("i-1")
    before = pid_of(agent, "i-1")

    scheduler.assignments.clear()
    scheduler.say_desired(epoch=4)

    await until(lambda: "epoch 4 is older than 5" in agent.said(), "the refusal in the log")
    agent.kill()
    scheduler.epoch = 3
    agent.start()
    await until(lambda: "epoch 3 is older than 5" in agent.said(), "the refusal after a restart")
    assert scheduler.hellos[-1].epoch == 5
    assert pid_of(agent, "i-1") == before


async def test_what_is_not_assigned_any_more_is_stopped(
    scheduler: FakeScheduler, agent: AgentProcess
) -> None:
    agent.start()
    scheduler.assign("i-1", SERVER)
    await scheduler.sees_ready("i-1")

    scheduler.forget("i-1")

    await scheduler.sees("i-1", lambda report: report.gone, "to be gone")
    assert instances_of(agent) == []


async def test_a_stop_is_answered_with_gone_also_when_there_is_nothing(
    scheduler: FakeScheduler, agent: AgentProcess
) -> None:
    agent.start()
    scheduler.assign("i-1", SERVER)
    await scheduler.sees_ready("i-1")

    scheduler.ask_to_stop("i-1")
    await scheduler.sees("i-1", lambda report: report.gone, "to be gone")
    scheduler.reports.clear()
    scheduler.say_desired()

    await scheduler.sees("i-1", lambda report: report.gone, "to be gone again")


async def test_a_crash_is_reported_not_ready_and_restarted(
    scheduler: FakeScheduler, agent: AgentProcess
) -> None:
    agent.start()
    scheduler.assign("i-1", f"touch again; test -e second || {{ touch second; {SERVER}; }}; exit 3")
    report = await scheduler.sees_ready("i-1")
    server = await asyncio.to_thread(_child_of_launcher, agent, "i-1")

    os.kill(server, signal.SIGKILL)

    report = await scheduler.sees(
        "i-1", lambda r: r.state == common.INSTANCE_STATE_CRASH_LOOP_BACK_OFF, "to loop"
    )
    assert report.why == "exited with code 3; restarting in 10 s (restart 2)"
    assert report.restarts == 1
    assert not report.ready


async def test_without_its_scheduler_everything_keeps_running_and_crashes_are_healed(
    agent: AgentProcess, scheduler: FakeScheduler
) -> None:
    other = FakeScheduler()
    async with listening(other) as port:
        agent.start(scheduler=f"127.0.0.1:{port}")
        other.assign("i-1", SERVER)
        report = await other.sees_ready("i-1")
        before = pid_of(agent, "i-1")
    await until(lambda: "scheduler is away" in agent.said(), "the outage in the log")

    os.kill(_child_of_launcher(agent, "i-1"), signal.SIGKILL)
    await until(lambda: _monitor(agent, "i-1") not in ("", before), "a new run")

    back = FakeScheduler()
    back.assignments = dict(other.assignments)
    async with listening(back, port):
        healed = await back.sees_ready("i-1")
        said = agent.said()
    assert (healed.restarts, healed.port) == (1, report.port)
    assert said.count("scheduler is away") == 1


async def test_an_agent_restarted_without_a_scheduler_keeps_up_what_was_wanted(
    agent: AgentProcess, scheduler: FakeScheduler
) -> None:
    other = FakeScheduler()
    async with listening(other) as port:
        agent.start(scheduler=f"127.0.0.1:{port}")
        other.assign("i-1", SERVER)
        await other.sees_ready("i-1")
    before = pid_of(agent, "i-1")
    agent.kill()
    os.kill(_child_of_launcher(agent, "i-1"), signal.SIGKILL)

    agent.start(scheduler=f"127.0.0.1:{port}")

    await until(lambda: _monitor(agent, "i-1") not in ("", before), "a new run")


async def test_a_slow_instance_holds_up_no_other(scheduler: FakeScheduler, agent: AgentProcess) -> None:
    agent.start()
    stubborn = "trap '' TERM; while :; do sleep 0.05; done"
    scheduler.assign("slow", stubborn)
    await scheduler.sees("slow", lambda report: report.port > 0, "to run")
    scheduler.ask_to_stop("slow")
    await scheduler.sees("slow", lambda r: r.state == common.INSTANCE_STATE_TERMINATING, "to be stopping")

    scheduler.assign("quick", SERVER)

    await scheduler.sees_ready("quick")
    scheduler.forget("quick")
    await scheduler.sees("quick", lambda report: report.gone, "to be gone")


async def test_logs_are_served_over_the_link(scheduler: FakeScheduler, agent: AgentProcess) -> None:
    agent.start()
    scheduler.assign("i-1", f"echo hello from i-1; {SERVER}")
    await scheduler.sees_ready("i-1")

    assert "hello from i-1\n" in await scheduler.log_of("i-1")
    assert await scheduler.log_of("nobody") == "no instance nobody on this node"


async def test_a_service_sees_its_bucket_where_it_was_mounted(
    scheduler: FakeScheduler, agent: AgentProcess, tmp_path: Path
) -> None:
    agent.start()
    put(tmp_path / "models" / "app" / "greeting", "served from the bucket")
    mount = {"mount_path": "/mnt/data", "oss": {"path": "oss://models/app/", "readOnly": True}}

    scheduler.assign("i-1", f"cd /mnt/data; {SERVER}", storage=[mount])

    report = await scheduler.sees_ready("i-1")
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.get(f"http://{report.address}:{report.port}/greeting")
    assert answer.text == "served from the bucket"


async def test_an_unknown_bucket_fails_the_instance_with_what_to_set(
    scheduler: FakeScheduler, agent: AgentProcess
) -> None:
    agent.start()
    scheduler.assign("i-1", SERVER, storage=[{"mount_path": "/mnt/data", "oss": {"path": "oss://others/x/"}}])

    report = await scheduler.sees("i-1", lambda r: r.state == common.INSTANCE_STATE_FAILED, "to fail")

    assert "no directory for bucket 'others'" in report.why
    assert "EASEL_AGENT_BUCKETS" in report.why


async def test_heartbeats_carry_what_the_node_offers(scheduler: FakeScheduler, agent: AgentProcess) -> None:
    agent.start()

    await until(lambda: len(scheduler.heartbeats) >= 2, "two heartbeats")

    inventory = scheduler.heartbeats[-1].inventory
    assert inventory.capacity.cpu_milli >= 1000
    assert inventory.runtime == common.RUNTIME_PROCESS
    assert (inventory.first_port, inventory.last_port) == (agent.ports[0], agent.ports[-1])
    assert inventory.gpus or inventory.gpu_note


async def test_a_port_of_another_program_is_told_as_busy_also_outside_the_range(
    scheduler: FakeScheduler, agent: AgentProcess
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        agent.start()

        await until(lambda: scheduler.heartbeats, "a heartbeat")

        assert other.getsockname()[1] in scheduler.heartbeats[-1].inventory.busy_ports


async def test_a_port_that_another_program_took_is_told_as_busy_before_the_trouble_it_makes(
    scheduler: FakeScheduler, agent: AgentProcess
) -> None:
    agent.start(heartbeat_every="600")
    await until(lambda: scheduler.hellos, "the agent")
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]

        scheduler.assign("i-1", SERVER, port=port)

        await scheduler.sees("i-1", lambda r: "is taken by another program" in r.why, "to be in trouble")
        assert port in scheduler.heartbeats[-1].inventory.busy_ports


@pytest.mark.parametrize("address", ["127.0.0.1", "localhost"])
async def test_a_program_that_listens_elsewhere_is_told_where_to_listen(
    scheduler: FakeScheduler, agent: AgentProcess, address: str
) -> None:
    agent.start(address=address)
    elsewhere = free_port()

    scheduler.assign("i-1", f"export PORT={elsewhere}; {SERVER}")

    report = await scheduler.sees("i-1", lambda r: bool(r.why) and r.port > 0, "to be explained")
    assert report.why == (
        f"its program listens on port {elsewhere}, but was given port {report.port}: "
        "let it read the environment variable PORT"
    )


async def test_a_second_agent_leaves_the_data_directory_alone(
    scheduler: FakeScheduler, agent: AgentProcess
) -> None:
    agent.start()
    await until(lambda: scheduler.hellos, "the first agent")
    first = agent.process

    agent.start()

    assert agent.process is not None
    assert await asyncio.to_thread(agent.process.wait, 20) != 0
    assert "another agent uses the data directory" in agent.said()
    agent.process = first


def put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True)
    path.write_text(text)


def _monitor(agent: AgentProcess, instance: str) -> str:
    try:
        return pid_of(agent, instance)
    except FileNotFoundError:
        return ""


def _child_of_launcher(agent: AgentProcess, instance: str) -> int:
    launcher = json.loads(pid_of(agent, instance))["pid"]
    children = Path(f"/proc/{launcher}/task/{launcher}/children").read_text().split()
    return int(children[0])


async def test_a_node_of_processes_says_that_it_has_no_images(
    scheduler: FakeScheduler, agent: AgentProcess
) -> None:
    scheduler.pulls = [pb.ImagePull(id="p-1", image="digits:1")]
    agent.start()

    report = await until(lambda: (report := scheduler.pull_reports.get("p-1")) and report.failed and report)

    assert report.why == "this node runs processes; it has no images"
