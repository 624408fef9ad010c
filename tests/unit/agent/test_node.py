"""What a node says of itself, and what it remembers."""

from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from easel.agent.v1 import agent_pb2 as pb
from libs.domain.records import Resources
from services.agent.board import Board, Status
from services.agent.inventory import Reserve, cuda_versions, offered
from services.agent.memory import Memory
from services.agent.runtime.cgroups import ControlGroups
from services.agent.settings import Settings


@pytest.mark.parametrize(
    ("cores", "memory_mib", "reserve", "cpu_milli", "memory"),
    [
        (2, 4096, Reserve(), 2000, 4096),
        (4, 8192, Reserve(), 3000, 7168),
        (64, 262_144, Reserve(), 63_000, 261_120),
        (64, 262_144, Reserve(0, 0), 64_000, 262_144),
        (1, 512, Reserve(2000, 1024), 0, 0),
    ],
)
def test_a_large_node_keeps_a_core_for_the_system_and_a_small_one_offers_all(
    cores: int, memory_mib: int, reserve: Reserve, cpu_milli: int, memory: int
) -> None:
    assert offered(cores, memory_mib, 1000, 2, reserve) == Resources(cpu_milli, memory, 1000, 2)


def test_the_versions_of_cuda_are_the_directories_that_are_named_so(tmp_path: Path) -> None:
    for name in ("cuda-11.2", "cuda-12.4", "cuda-12", "cuda", "cuda-11.2.old"):
        (tmp_path / name).mkdir()
    (tmp_path / "cuda-13.0").touch()

    assert cuda_versions(tmp_path) == ("11.2", "12.4")
    assert cuda_versions(tmp_path / "nothing") == ()


def test_the_newest_desired_state_survives_the_agent(tmp_path: Path) -> None:
    Memory(tmp_path).keep(pb.DesiredState(epoch=7, assignments=[pb.Assignment(id="i-1")]))

    again = Memory(tmp_path)

    assert again.epoch == 7
    assert again.desired is not None
    assert [assignment.id for assignment in again.desired.assignments] == ["i-1"]
    assert (tmp_path / "desired.pb").stat().st_mode & 0o777 == 0o600


def test_a_memory_that_was_cut_off_counts_as_none(tmp_path: Path) -> None:
    (tmp_path / "desired.pb").write_bytes(b"\xff\xff\xff")

    assert Memory(tmp_path).epoch == 0


async def test_only_what_changed_is_told() -> None:
    board = Board()
    board.put(Status("a", port=1))
    board.put(Status("b"))
    await board.changes()

    board.put(Status("a", port=1))
    board.put(Status("b", why="new"))

    assert [status.why for status in await board.changes()] == ["new"]


async def test_what_is_gone_is_told_and_forgotten() -> None:
    board = Board()
    board.put(Status("a", ready=True))

    board.put_gone("a", 3)

    (status,) = await board.changes()
    assert (status.gone, status.ready, status.epoch) == (True, False, 3)
    assert board.all() == []


def test_durations_are_seconds_where_they_are_plain_numbers() -> None:
    settings = Settings(heartbeat_every="1.5", pull_stalled_after="PT5M")  # type: ignore[arg-type]

    assert settings.heartbeat_every == timedelta(seconds=1.5)
    assert settings.pull_stalled_after == timedelta(minutes=5)


@pytest.mark.parametrize(
    "nonsense",
    [
        {"first_port": 30000, "last_port": 20000},
        {"node": "../n"},
        {"join_token": "x", "join_token_file": "y"},
    ],
)
def test_settings_that_make_no_sense_are_refused(nonsense: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Settings(**nonsense)  # type: ignore[arg-type]


def test_a_refused_setting_does_not_show_the_token() -> None:
    with pytest.raises(ValidationError) as refused:
        Settings(join_token=SecretStr("s3cr3t"), first_port=2, last_port=1)
    with pytest.raises(ValidationError) as raw:
        Settings(join_token="s3cr3t", first_port=2, last_port=1)  # type: ignore[arg-type]

    assert "s3cr3t" not in f"{refused.value} {raw.value}"


def test_ports_are_published_on_loopback_unless_gateways_are_elsewhere() -> None:
    assert Settings().published_on() == "127.0.0.1"
    assert Settings(address="10.0.0.5").published_on() == "0.0.0.0"
    assert Settings(address="10.0.0.5", publish="10.0.0.5").published_on() == "10.0.0.5"


def test_a_control_group_gets_the_bounds_of_its_instance(tmp_path: Path) -> None:
    parent = tmp_path / "easel"
    parent.mkdir()
    for group in (tmp_path, parent):
        (group / "cgroup.subtree_control").write_text("cpu memory")
    groups = ControlGroups.below(parent)
    assert groups is not None

    group = Path(groups.create("i-1", memory_mib=64, cpu_milli=1500))

    assert (group / "memory.max").read_text() == str(64 << 20)
    assert (group / "cpu.max").read_text() == "150000 100000"


def test_without_delegated_controllers_there_are_no_control_groups(tmp_path: Path) -> None:
    assert ControlGroups.below(tmp_path / "easel") is None
