"""The requests that warm an instance up."""

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from easel.agent.v1 import agent_pb2 as pb
from libs.domain.causes import Cause
from services.agent.mounts import HostDirectories, Mount, MountKind
from services.agent.runtime.port import Attempt, Running, WarmUpFailed
from services.agent.runtime.process_runtime import ProcessRuntime, ProcessSettings
from services.agent.runtime.venvs import Venvs
from services.agent.storage.sources import StoreSource
from services.agent.warm_up import Answer, Request, WarmUp, play, requests_of
from services.agent.workload import Workload, workload_of

PLAIN = Workload(id="i-1", service="digits", version=1, epoch=1, spec_hash="h", port=8000)


class Script:
    """A program that gives these answers in turn, and the last one from then on."""

    def __init__(self, *statuses: int) -> None:
        self.statuses, self.heard = list(statuses), list[Request]()

    async def send(self, request: Request) -> Answer:
        self.heard.append(request)
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        return Answer(status, f"was answered with {status}")


class Silent:
    """Hears of a warm-up, and tells nobody."""

    def doing(self, what: str) -> None: ...

    def failing(self, why: str) -> None: ...


def test_a_bin_file_is_one_request_of_raw_bytes() -> None:
    (request,) = requests_of("/mnt/data/one.bin", b"\x00\n\x01")

    assert (request.body, request.content_type) == (b"\x00\n\x01", "application/octet-stream")


def test_a_txt_file_is_one_request_a_line() -> None:
    found = requests_of("/mnt/data/many.txt", b'{"a": 1}\n\nplain words\r\n')

    assert [(request.body, request.content_type) for request in found] == [
        (b'{"a": 1}', "application/json"),
        (b"plain words", "application/octet-stream"),
    ]


@pytest.mark.parametrize(("path", "content"), [("/a.json", b"{}"), ("/a.txt", b"\n\n")])
def test_a_file_without_requests_is_refused(path: str, content: bytes) -> None:
    with pytest.raises(WarmUpFailed, match=r"^warm_up_data_path: "):
        requests_of(path, content)


async def test_every_request_is_sent_five_times_in_the_order_of_the_file() -> None:
    script, requests = Script(200), requests_of("/a.txt", b"1\n2\n")

    await play(requests, script.send, patience=0.01)

    assert [request.body for request in script.heard] == [b"1", b"2"] * 5


async def test_a_failure_before_the_last_pass_is_forgiven() -> None:
    script = Script(503, 500, 200)

    await play(requests_of("/a.bin", b"1"), script.send, patience=0.01)

    assert len(script.heard) == 5


async def test_a_failure_is_told_at_once_and_until_the_request_has_a_success() -> None:
    script, told = Script(200, 500, 200, 500, 200), list[str]()

    await play(requests_of("/a.txt", b"1\n2\n"), script.send, 0.01, told.append)

    failing = "the warm-up request in line 2 of /a.txt was answered with 500"
    assert told == ["", *[failing] * 4, *[""] * 5]


async def test_a_request_without_success_in_the_last_pass_fails_the_warm_up() -> None:
    script = Script(200, 200, 200, 200, 500)

    with pytest.raises(WarmUpFailed, match=r"/a\.bin was answered with 500$") as failed:
        await play(requests_of("/a.bin", b"1"), script.send, patience=0.01)

    assert failed.value.cause is Cause.WARM_UP_FAILED


async def test_an_instance_is_asked_as_a_gateway_would_ask_it(tmp_path: Path) -> None:
    (tmp_path / "warm.txt").write_text('{"a": 1}\n{"a": 2}\n')
    mount = Mount("/mnt/data", MountKind.BIND, str(tmp_path))
    workload = replace(PLAIN, mounts=(mount,), warm_up_path="/mnt/data/warm.txt")
    with program(200) as (running, heard):
        await warm_up_of(tmp_path)(workload, running, Silent())
        await warm_up_of(tmp_path)(replace(workload, base_path="/api/predict/digits"), running, Silent())

    assert heard[:2] == [("/", b'{"a": 1}'), ("/", b'{"a": 2}')]
    assert (len(heard), heard[-1]) == (20, ("/api/predict/digits", b'{"a": 2}'))


async def test_the_answer_of_the_program_is_in_the_sentence(tmp_path: Path) -> None:
    (tmp_path / "warm.bin").write_bytes(b"x")
    mount = Mount("/mnt/data", MountKind.BIND, str(tmp_path))
    workload = replace(
        PLAIN, mounts=(mount,), warm_up_path="/mnt/data/warm.bin", keepalive=timedelta(seconds=1)
    )
    with program(200, 200, 200, 200, 422) as (running, _), pytest.raises(WarmUpFailed) as failed:
        await warm_up_of(tmp_path)(workload, running, Silent())

    said = "the warm-up request in /mnt/data/warm.bin was answered with 422: no such tensor"
    assert str(failed.value) == said


async def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    workload = replace(PLAIN, warm_up_path=str(tmp_path / "missing.bin"))
    with (
        program(200) as (running, _),
        pytest.raises(WarmUpFailed, match=r"missing\.bin: No such"),
    ):
        await warm_up_of(tmp_path)(workload, running, Silent())


def test_a_file_in_a_bucket_is_of_the_host_or_of_a_store(tmp_path: Path) -> None:
    spec = (
        '{"metadata": {"name": "digits", "rpc": {"proxy_path": "/"}, "cuda": "11.2"},'
        ' "containers": [{"image": "x", "script": "y", "port": 8000}],'
        ' "warm_up_data_path": "oss://models/warm/one.bin"}'
    )
    secrets = {"oss/endpoint": "http://store", "oss/access_key_id": "a", "oss/secret_access_key": "b"}
    assignment = pb.Assignment(id="i-1", service="digits", spec_json=spec, secrets=secrets)

    stored = workload_of(assignment, HostDirectories(cuda=tmp_path))
    mapped = workload_of(assignment, HostDirectories({"models": tmp_path}))

    assert isinstance(stored.warm_up_origin, StoreSource)
    assert (stored.warm_up_origin.bucket, stored.warm_up_origin.prefix) == ("models", "warm")
    assert mapped.warm_up_origin == tmp_path / "warm/one.bin"
    assert stored.base_path == "/api/predict/digits"
    assert stored.mounts == (
        Mount("/usr/local/cuda", MountKind.BIND, str(tmp_path / "cuda-11.2"), read_only=True),
    )


def warm_up_of(directory: Path) -> WarmUp:
    settings = ProcessSettings(directory / "instances", "127.0.0.1", range(1, 2))
    return WarmUp(ProcessRuntime(settings, Venvs(directory / "venvs", "python3", {})))


@contextmanager
def program(*statuses: int) -> Iterator[tuple[Running, list[tuple[str, bytes]]]]:
    """A program that answers with these in turn, and with the last one then; and what it was asked."""
    heard: list[tuple[str, bytes]] = []
    left = list(statuses)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(left.pop(0) if len(left) > 1 else left[0])
            self.end_headers()
            self.wfile.write(b"no such\n tensor")

        def log_message(self, *_: Any) -> None:
            """Says nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    now = datetime(2026, 1, 1, tzinfo=UTC)
    try:
        yield Running("i-1", "digits", 1, 1, "h", Attempt(), "127.0.0.1", server.server_port, now), heard
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
