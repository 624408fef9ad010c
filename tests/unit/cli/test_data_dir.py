"""The data directory: one process at a time, secrets for its owner alone."""

import stat
import subprocess
import sys
from pathlib import Path

import pytest

from cli.data_dir import (
    LOG,
    AlreadyRunning,
    Running,
    in_use,
    left_behind,
    locked,
    log_tail,
    open_log,
    prepare,
    running_on,
)
from cli.ports import ensure_free
from libs.domain.errors import EaselError
from tests.support.command_line import CommandLine
from tests.support.free_ports import free_port

ME = Running(pid=4711, scheduler="127.0.0.1:8801", gateway="http://127.0.0.1:8800")


def test_the_directory_and_its_tokens_are_for_the_owner_alone(tmp_path: Path) -> None:
    prepare(tmp_path / "data")

    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700
    for name in ("admin.token", "join.token"):
        assert stat.S_IMODE((tmp_path / "data" / name).stat().st_mode) == 0o600
        assert len((tmp_path / "data" / name).read_text().strip()) >= 32


def test_tokens_outlive_a_second_start(tmp_path: Path) -> None:
    prepare(tmp_path)
    before = (tmp_path / "admin.token").read_text()

    prepare(tmp_path)

    assert (tmp_path / "admin.token").read_text() == before


def test_an_empty_token_file_is_written_anew(tmp_path: Path) -> None:
    (tmp_path / "admin.token").touch()

    prepare(tmp_path)

    assert len((tmp_path / "admin.token").read_text().strip()) >= 32
    assert stat.S_IMODE((tmp_path / "admin.token").stat().st_mode) == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["admin.token", "join.token"]


def test_what_a_killed_holder_said_is_not_taken_for_the_next_one(tmp_path: Path) -> None:
    prepare(tmp_path)
    with locked(tmp_path) as lock:
        lock.tell(Running(1, "s", "g"))
        left = (tmp_path / "easel.lock").read_bytes()
    (tmp_path / "easel.lock").write_bytes(left)

    with locked(tmp_path):
        assert running_on(tmp_path) is None


def test_the_log_of_a_process_that_runs_for_long_stays_bounded(tmp_path: Path) -> None:
    talk = (
        "import os, sys; from pathlib import Path; import cli.data_dir as d; d._LOG_BYTES = 100\n"
        "log = d.open_log(Path(sys.argv[1])); os.dup2(log, 1); os.dup2(log, 2)\n"
        "for n in range(100): os.write(2, b'%9d\\n' % n); d.bound_log(Path(sys.argv[1]))\n"
    )

    subprocess.run([sys.executable, "-c", talk, str(tmp_path)], check=True)

    sizes = {path.name: path.stat().st_size for path in tmp_path.iterdir()}
    assert sizes.keys() == {"easel.log", "easel.log.1"}
    assert max(sizes.values()) <= 110


def test_a_second_process_is_told_who_holds_the_directory(tmp_path: Path) -> None:
    with locked(tmp_path) as lock:
        lock.tell(ME)

        with pytest.raises(AlreadyRunning) as refused, locked(tmp_path):
            pass

        assert running_on(tmp_path) == ME
    assert str(refused.value) == (
        f"Easel already runs on {tmp_path} (process 4711, gateway http://127.0.0.1:8800, "
        "admin API 127.0.0.1:8801); `easel down` stops it"
    )


def test_a_directory_is_free_again_once_its_holder_is_gone(tmp_path: Path) -> None:
    with locked(tmp_path) as lock:
        lock.tell(ME)
        assert in_use(tmp_path)

    assert not in_use(tmp_path)
    assert running_on(tmp_path) is None


def test_a_killed_holder_leaves_the_directory_free(tmp_path: Path) -> None:
    program = (
        "import os, signal, sys; from pathlib import Path; from cli.data_dir import Running, locked\n"
        "with locked(Path(sys.argv[1])) as lock:\n"
        "    lock.tell(Running(os.getpid(), 'a', 'b')); os.kill(os.getpid(), signal.SIGKILL)"
    )
    root = Path(__file__).parents[3]
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], cwd=root, timeout=30, check=False)

    assert running_on(tmp_path) is None
    with locked(tmp_path):
        pass


def test_a_directory_that_was_never_used_holds_nothing(tmp_path: Path) -> None:
    assert running_on(tmp_path / "none") is None
    assert left_behind(tmp_path / "none") == 0


def test_processes_of_a_killed_easel_are_counted(tmp_path: Path) -> None:
    workplace = tmp_path / "agent" / "instances" / "echo-1"
    workplace.mkdir(parents=True)
    with subprocess.Popen(
        [sys.executable, "-c", "input()"], cwd=workplace, stdin=subprocess.PIPE
    ) as instance:
        try:
            assert left_behind(tmp_path) == 1
        finally:
            instance.kill()


def test_a_directory_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(EaselError, match="cannot be used as data directory"):
        prepare(tmp_path / "file" / "data")


def test_the_log_tail_leaves_out_what_was_logged_before(tmp_path: Path) -> None:
    (tmp_path / LOG).write_text("old\n")

    with open(open_log(tmp_path), "w") as log:  # noqa: PTH123
        log.write("new\nnewer\n")

    assert log_tail(tmp_path, since=4) == ["new", "newer"]


def test_a_taken_port_names_its_holder_and_the_option(tmp_path: Path) -> None:
    import os
    import socket

    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        with pytest.raises(EaselError) as refused:
            ensure_free("127.0.0.1", port, "--admin-port", tmp_path)

    sentence = str(refused.value)
    assert sentence.startswith(f"port {port} is taken by ")
    assert sentence.endswith(f"(process {os.getpid()}); choose another with --admin-port")


def test_a_free_port_and_one_held_by_the_own_envoy_are_fine(tmp_path: Path) -> None:
    port = free_port()
    ensure_free("127.0.0.1", port, "--port", tmp_path)
    program = (
        "import socket, sys; held = socket.create_server(('127.0.0.1', int(sys.argv[2])))\n"
        "print('up', flush=True); input()"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "envoy.json"), str(port)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as envoy:
        try:
            assert envoy.stdout is not None and envoy.stdout.readline() == b"up\n"
            ensure_free("127.0.0.1", port, "--port", tmp_path)
        finally:
            envoy.kill()


def test_the_gateway_and_the_admin_api_cannot_have_one_port(lonely: CommandLine, tmp_path: Path) -> None:
    ran = lonely("up", "--data-dir", str(tmp_path / "new"), "--port", "18850", "--admin-port", "18850")

    assert ran.code == 1
    assert ran.err == "easel: --port and --admin-port are both 18850; give each a port of its own\n"
    assert not (tmp_path / "new").exists()
