"""What is counted of trees of processes, and how long a start and a notice last."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.domain.errors import Unavailable
from libs.domain.states import InstanceState
from services.agent.gpu_readings import GpuReading
from services.agent.reclaim import Reclaim, reclaim_of
from services.agent.runtime.cgroups import Spent, spent_in, spent_in_old
from services.agent.runtime.docker_usage import spent_from, spent_of
from services.agent.runtime.port import Attempt, Running, Use
from services.agent.runtime.process_usage import Counted, Process, counted
from services.agent.start_phases import StartPhases
from services.agent.telemetry.looking import Look
from services.agent.telemetry.node import real
from services.agent.telemetry.report import Read, report_of

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def a_process(pid: int, own: int = 0, reaped: int = 0) -> Process:
    return Process(pid, 1, 0, own, reaped)


def counts(*looks: list[Process]) -> list[int]:
    before: Counted | None = None
    found = []
    for look in looks:
        before = counted(before, look)
        found.append(before.ticks)
    return found


def test_a_child_that_was_waited_for_counts_once() -> None:
    parent, child = a_process(1, own=10), a_process(2, own=5)

    found = counts([parent, child], [parent, a_process(2, own=7)], [a_process(1, own=10, reaped=8)])

    assert found == [15, 17, 18]


def test_a_child_that_nobody_waited_for_still_counts() -> None:
    found = counts([a_process(1, own=10), a_process(2, own=5)], [a_process(1, own=11)])

    assert found == [15, 16]


def test_children_that_were_born_and_ended_between_two_looks_count() -> None:
    found = counts([a_process(1, own=10)], [a_process(1, own=10, reaped=40)])

    assert found == [10, 50]


def test_another_process_with_the_pid_of_one_that_ended_is_counted_from_its_start() -> None:
    again = Process(2, 1, started=99, own=3)

    found = counts([a_process(1), a_process(2, own=50)], [a_process(1, reaped=50), again])

    assert found == [50, 53]


@given(
    st.lists(
        st.lists(st.tuples(st.integers(1, 5), st.integers(0, 50), st.integers(0, 50)), max_size=5), max_size=8
    )
)
def test_the_sum_never_falls_whatever_is_seen(looks: list[list[tuple[int, int, int]]]) -> None:
    found = counts(*([a_process(*each) for each in look] for look in looks))

    assert found == sorted(found)


def write(directory: Path, files: Mapping[str, str]) -> Path:
    directory.mkdir(parents=True)
    for name, text in files.items():
        (directory / name).write_text(text)
    return directory


NEW = {
    "cpu.stat": "usage_usec 2500000\nuser_usec 1\n",
    "memory.current": "1000\n",
    "memory.stat": "anon 600\ninactive_file 300\n",
}


def test_a_control_group_tells_what_it_uses_without_idle_cache(tmp_path: Path) -> None:
    group = write(tmp_path / "group", NEW)

    assert spent_in(group) == Spent(2.5, 700)
    assert spent_in(tmp_path / "none") is None


def test_groups_of_the_old_kind_tell_the_same(tmp_path: Path) -> None:
    cpu = write(tmp_path / "cpu", {"cpuacct.usage": "2500000000\n"})
    memory = write(
        tmp_path / "memory", {"memory.usage_in_bytes": "1000\n", "memory.stat": "total_inactive_file 300\n"}
    )

    assert spent_in_old(cpu, memory) == Spent(2.5, 700)


@pytest.mark.parametrize("place", ["system.slice/docker-abc.scope", "docker/abc"])
def test_the_group_of_a_container_is_found_wherever_the_engine_puts_it(tmp_path: Path, place: str) -> None:
    write(tmp_path / place, NEW)

    assert spent_of("abc", tmp_path) == Spent(2.5, 700)
    assert spent_of("def", tmp_path) is None


def test_the_engine_s_own_account_tells_the_same() -> None:
    stats = {
        "cpu_stats": {"cpu_usage": {"total_usage": 2_500_000_000}},
        "memory_stats": {"usage": 1000, "stats": {"inactive_file": 300}},
    }

    assert spent_from(stats) == Spent(2.5, 700)


def test_what_is_made_of_hardware_does_not_count_again(tmp_path: Path) -> None:
    for name in ("eth0/device", "docker0", "lo"):
        (tmp_path / "class/net" / name).mkdir(parents=True)

    assert real({"eth0": 1, "docker0": 2, "lo": 3}, "class/net", tmp_path) == [1]


def test_without_hardware_all_but_loopback_counts(tmp_path: Path) -> None:
    for name in ("eth0", "lo"):
        (tmp_path / "class/net" / name).mkdir(parents=True)

    assert real({"eth0": 1, "lo": 3}, "class/net", tmp_path) == [1]


def test_a_report_names_who_has_a_gpu_and_leaves_out_what_was_not_read() -> None:
    has = Running("i-1", "digits", 1, 1, "h", Attempt(2), "127.0.0.1", 80, NOON, gpu_uuids=("GPU-0",))
    read = Read(
        uses={"i-1": Use(1.5, 7), "gone": Use(1, 1)}, gpus=[GpuReading("GPU-0", 0, "H100", power_watts=3.0)]
    )

    report = report_of("n1", NOON, read, [has], [])

    assert not report.HasField("use")
    [use] = report.instances
    assert (use.instance, use.restarts, use.HasField("connections")) == ("i-1", 2, False)
    [gpu] = report.gpus
    assert list(gpu.instances) == ["i-1"]
    assert gpu.power_watts == 3.0
    assert not gpu.HasField("utilization_percent")


async def test_a_look_that_takes_long_is_not_taken_twice_at_once() -> None:
    let, begun = asyncio.Event(), []

    async def slow() -> str:
        begun.append(1)
        await let.wait()
        return "seen"

    look = Look("slow", slow)
    await asyncio.wait([look.start()], timeout=0.01)
    assert look.outcome() is None
    await asyncio.wait([look.start()], timeout=0.01)
    let.set()
    await look.start()

    assert (look.outcome(), len(begun)) == ("seen", 1)
    assert look.outcome() is None


async def test_a_look_that_fails_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    async def away() -> str:
        raise Unavailable("the engine is away")

    look = Look("away", away)
    for _ in range(3):
        await look.start()
        assert look.outcome() is None

    assert [record.message for record in caplog.records] == ["cannot be measured now"]


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_phases_come_in_their_order_with_their_time() -> None:
    clock = Clock()
    starts = StartPhases(clock)
    starts.begin("i-1")
    steps = [
        (1, InstanceState.PULLING),
        (5, InstanceState.PREPARING),
        (6, InstanceState.STARTING),
        (8, InstanceState.WARMING_UP),
    ]
    for clock.now, state in steps:
        starts.enter("i-1", state)
    clock.now = 8.5

    phases = starts.ready("i-1")

    assert [(each.name, each.seconds) for each in phases] == [
        ("preparing", 2),
        ("pulling", 4),
        ("starting", 2),
        ("warming_up", 0.5),
    ]
    assert starts.ready("i-1") == ()


def test_a_new_try_is_measured_anew_and_an_adopted_start_is_not() -> None:
    clock = Clock()
    starts = StartPhases(clock)
    starts.begin("i-1")
    clock.now = 60
    starts.begin("i-1")
    starts.enter("i-1", InstanceState.STARTING)
    starts.enter("adopted", InstanceState.STARTING)
    clock.now = 61

    assert [(each.name, each.seconds) for each in starts.ready("i-1")] == [("starting", 1)]
    assert starts.ready("adopted") == ()


@pytest.mark.parametrize(
    ("text", "after", "why"),
    [
        ("", 120, "its owner takes the node away"),
        ("30", 30, "its owner takes the node away"),
        ("30 the price\nrose", 30, "the price rose"),
        ("2026-01-01T12:05:00Z maintenance", 300, "maintenance"),
        ("2026-01-01T14:05:00+02:00", 300, "its owner takes the node away"),
        ("the price rose", 120, "the price rose"),
        ("-5 odd", 120, "-5 odd"),
        ("inf odd", 120, "inf odd"),
    ],
)
def test_a_notice_says_when_the_node_goes_and_why(text: str, after: float, why: str) -> None:
    assert reclaim_of(text, NOON) == Reclaim(NOON + timedelta(seconds=after), why)
