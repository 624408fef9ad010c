"""All of Easel in one process: how it comes up, what it says, and that nothing of it stays."""

import json
import os
import signal
import socket
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import grpc
import psutil
import pytest

from cli.data_dir import in_use
from easel.metrics.v1 import metrics_pb2 as pb
from easel.metrics.v1 import metrics_pb2_grpc as rpc
from easel_sdk.context import read_contexts
from libs.rpc.client import dial
from tests.support.embedded import EASEL, EmbeddedEasel, done, embedded_easel
from tests.support.free_ports import free_port
from tests.support.waiting import until

APP = """
import http.server, os
class Answer(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200); self.send_header("content-length", str(len(body))); self.end_headers()
        self.wfile.write(body)
    do_GET = do_POST
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Answer).serve_forever()
"""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedEasel]:
    # As one that further hosts join.
    with embedded_easel(tmp_path_factory.mktemp("up"), "--admin-host", "0.0.0.0") as easel:
        yield easel


@pytest.fixture
def echo_file(tmp_path: Path) -> Path:
    path, app = tmp_path / "echo.json", tmp_path / "app.py"
    app.write_text(APP)
    container = {"image": "python:3.11", "port": free_port(), "script": f"{EASEL.with_name('python')} {app}"}
    metadata = {"name": "echo", "instance": 1, "cpu": 0.1, "memory": 64}
    path.write_text(json.dumps({"metadata": metadata, "containers": [container]}))
    return path


def test_the_context_holds_the_addresses_and_the_token_for_the_owner_alone(running: EmbeddedEasel) -> None:
    path = running.home / "context.json"
    context = read_contexts(path).chosen("local")

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert context.token == (running.data_dir / "admin.token").read_text().strip()
    assert context.data_dir == str(running.data_dir)
    assert done(running.easel("node", "ls", "-o", "json")).stdout != "[]\n"


def test_a_service_is_deployed_called_and_deleted(running: EmbeddedEasel, echo_file: Path) -> None:
    created = done(running.easel("create", str(echo_file), "--wait", "--timeout", "60"))
    called = done(running.easel("predict", "echo", "-d", "hello"))
    signed = done(running.easel("predict", "echo", "-d", "signed", "--eas-signature"))
    refused = running.easel("predict", "echo", "-d", "hello", "--token", "wrong")
    done(running.easel("delete", "echo", "--wait"))

    assert created.stdout.startswith("echo is Running: 1 of 1 instances ready\n")
    assert (called.stdout, signed.stdout) == ("hello", "signed")
    assert refused.returncode == 7
    assert running.easel("desc", "echo").returncode == 3


async def test_what_joins_from_other_hosts_reports_with_its_own_token(running: EmbeddedEasel) -> None:
    joining = json.loads(done(running.easel("token", "create", "far", "--role", "join", "-o", "json")).stdout)
    host, _, port = running.context.scheduler.rpartition(":")

    async def taken(token: str) -> bool:
        async with dial(f"{host}:{int(port) + 2}", token) as channel:
            call = rpc.TelemetryServiceStub(channel).Report(iter([pb.ReportRequest()]), timeout=10)
            return await call.code() is grpc.StatusCode.OK

    await until(lambda: taken(joining["secret"]), "the token to be known to metrics")
    assert not await taken("another")


def test_a_second_up_says_so_and_leaves_the_first_alone(running: EmbeddedEasel) -> None:
    second = running.try_up()

    assert second.returncode == 1
    assert second.stderr.startswith(f"easel: Easel already runs on {running.data_dir} (process ")
    assert running.easel("ls").returncode == 0


def test_a_taken_port_is_one_sentence(tmp_path: Path) -> None:
    easel = EmbeddedEasel(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        ran = easel.easel(
            "up", "--detach", "--data-dir", str(easel.data_dir), "--port", str(port), "--admin-port", "1"
        )

    assert ran.returncode == 1
    assert ran.stderr.startswith(f"easel: port {port} is taken by ")
    assert ran.stderr.endswith("choose another with --port\n")
    assert not in_use(easel.data_dir)


def test_down_leaves_no_process_and_up_brings_the_services_back(tmp_path: Path, echo_file: Path) -> None:
    with embedded_easel(tmp_path / "home") as easel:
        done(easel.easel("create", str(echo_file), "--wait", "--timeout", "60"))

        stopped = done(easel.down())
        left = easel.processes()
        again = easel.down()
        easel.up()
        waited = done(easel.easel("start", "echo", "--wait", "--timeout", "60"))

    assert stopped.stderr.startswith("Easel is stopped (process ")
    assert left == []
    assert again.stderr == f"no Easel runs on {easel.data_dir}\n"
    assert "echo is Running" in waited.stdout


def test_a_bucket_and_a_host_root_named_once_are_there_after_a_stop(tmp_path: Path) -> None:
    more = ("--bucket", f"code={tmp_path}", "--host-root", str(tmp_path))
    with embedded_easel(tmp_path / "home", *more) as easel:
        done(easel.down())
        again = done(EmbeddedEasel(easel.home, "-o", "json").try_up())

    assert json.loads(again.stdout)["buckets"] == {"code": str(tmp_path)}
    assert json.loads(again.stdout)["host_roots"] == [str(tmp_path)]


def test_ctrl_c_stops_everything(tmp_path: Path) -> None:
    easel = EmbeddedEasel(tmp_path)
    command = [
        *(str(EASEL), "up", "--data-dir", str(easel.data_dir)),
        *("--port", str(free_port()), "--admin-port", str(free_port()), "--metrics-port", str(free_port())),
    ]
    env = {**os.environ, "EASEL_CONTEXT": str(tmp_path / "context.json")}
    with subprocess.Popen(
        command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            assert process.stdout is not None
            banner = process.stdout.readline()
            os.kill(process.pid, signal.SIGINT)
            process.wait(30)
            said = process.stderr.read() if process.stderr else ""
        finally:
            process.kill()

    assert banner.startswith("Easel is up after ")
    assert process.returncode == 0, said
    assert said.endswith("Easel is stopped\n")
    assert [each for each in easel.processes() if each.status() != psutil.STATUS_ZOMBIE] == []
