"""What the answers to the checks of an instance come to."""

import asyncio
import ssl
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from libs.domain.causes import Cause
from libs.spec.probe import HttpGet, Probe, StartupProbe
from services.agent.health.answers import Answer, Check
from services.agent.health.http import NoAnswer, get
from services.agent.health.verdict import Known, recalled
from services.agent.runtime.port import Finding
from services.agent.workload import Probes
from tests.support.free_ports import free_port

PEM = serialization.Encoding.PEM
NO = Answer(False, "GET /health", "answered 503", "model not loaded")
YES = Answer(True, "GET /health", "answered 200")
HTTP = Probe(http_get=HttpGet(path="/health"))


def told(known: Known, check: Check, *answers: Answer) -> Known:
    for answer in answers:
        known = known.answered(check, answer)
    return known


def up(**probes: Probe) -> Known:
    return Known(Probes(**probes), listening=True)


def test_without_a_check_the_listening_port_is_readiness() -> None:
    assert not Known(Probes()).health().ready
    assert Known(Probes()).heard(True, None).health().ready


def test_with_a_readiness_check_its_first_pass_is_needed_as_well() -> None:
    known = up(readiness=HTTP)

    assert not known.health().ready
    assert told(known, Check.READINESS, YES).health().ready


def test_a_failed_readiness_check_takes_out_of_traffic_and_says_the_answer() -> None:
    known = told(up(readiness=HTTP), Check.READINESS, YES, NO, NO)
    assert known.health().ready

    health = told(known, Check.READINESS, NO).health()

    assert (health.ready, health.condemned) == (False, False)
    assert health.finding == Finding(
        Cause.READINESS_PROBE_FAILED,
        'readiness_check: GET /health answered 503 "model not loaded" (3 times in a row)',
    )
    assert told(known, Check.READINESS, NO, YES).health().ready


def test_a_failed_liveness_check_condemns_the_run() -> None:
    known = told(up(liveness=HTTP), Check.LIVENESS, NO, NO)
    assert known.health().ready

    health = told(known, Check.LIVENESS, NO).health()

    assert (health.ready, health.condemned) == (False, True)
    assert health.finding is not None
    assert health.finding.cause is Cause.LIVENESS_PROBE_FAILED


def test_a_pass_between_failures_begins_the_count_anew() -> None:
    known = told(up(liveness=HTTP), Check.LIVENESS, NO, NO, YES, NO, NO)

    assert not known.health().condemned


def test_the_startup_check_holds_the_others_back_and_condemns_in_the_end() -> None:
    slow = StartupProbe(http_get=HttpGet(), failure_threshold=3)
    known = up(startup=slow)

    assert (known.started, known.health().ready) == (False, False)
    assert told(known, Check.STARTUP, NO, NO, YES).health().ready
    failed = told(known, Check.STARTUP, NO, NO, NO).health()
    assert failed.condemned
    assert failed.finding is not None
    assert failed.finding.cause is Cause.STARTUP_PROBE_FAILED


def test_a_success_threshold_wants_passes_in_a_row() -> None:
    twice = HTTP.model_copy(update={"success_threshold": 2})

    assert not told(up(readiness=twice), Check.READINESS, YES, NO, YES).health().ready
    assert told(up(readiness=twice), Check.READINESS, YES, NO, YES, YES).health().ready


def test_one_probe_for_both_is_called_as_its_owner_wrote_it() -> None:
    known = told(up(liveness=HTTP, readiness=HTTP), Check.LIVENESS, NO, NO, NO)

    finding = known.health().finding
    assert finding is not None
    assert finding.why.startswith("health_check: GET /health answered 503")


def test_a_sentence_stays_the_same_while_the_program_says_the_same_in_other_words() -> None:
    known = told(up(readiness=HTTP), Check.READINESS, NO, NO, NO)

    later = told(known, Check.READINESS, replace(NO, words="model not loaded, 14 s"))

    assert later.health() == known.health()


def test_a_run_that_was_ready_is_so_until_enough_answers_say_otherwise() -> None:
    probes = Probes(startup=StartupProbe(http_get=HttpGet()), readiness=HTTP)
    known = recalled(probes, ready=True)

    assert known.health().ready
    assert told(known, Check.READINESS, NO, NO).health().ready
    assert not told(known, Check.READINESS, NO, NO, NO).health().ready
    assert not known.heard(False, None).health().ready


def test_a_run_that_was_ready_once_has_started_and_is_warm() -> None:
    probes = Probes(startup=StartupProbe(http_get=HttpGet()), readiness=HTTP)
    known = recalled(probes, ready=False).heard(True, None)

    assert (known.started, known.warm, known.health().ready) == (True, True, False)
    assert told(known, Check.READINESS, YES).health().ready


def test_a_run_that_is_not_warm_warms_up_before_it_is_ready() -> None:
    cold = replace(up(), warm=False)
    failed = replace(cold, cold=Finding(Cause.WARM_UP_FAILED, "request 2 was answered 500"))

    assert (cold.health().ready, cold.health().warming_up) == (False, True)
    assert failed.health().finding == failed.cold
    assert replace(cold, warm=True).health().ready


async def served(answer: bytes, context: ssl.SSLContext | None = None) -> tuple[asyncio.Server, int]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    return server, server.sockets[0].getsockname()[1]


@pytest.mark.parametrize(
    ("answer", "status", "words"),
    [
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204, ""),
        (b"HTTP/1.1 302 Found\r\nLocation: /login\r\n\r\n", 302, ""),
        (b"HTTP/1.1 503 No\r\nContent-Length: 11\r\n\r\nnot\nloaded yet", 503, "not loaded"),
        (b"HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nout\r\n0\r\n\r\n", 500, "out"),
        (b"HTTP/1.0 500 No\r\n\r\nno length", 500, "no length"),
    ],
)
async def test_an_http_answer_is_its_status_and_the_beginning_of_what_failed(
    answer: bytes, status: int, words: str
) -> None:
    server, port = await served(answer)
    async with server:
        assert await get("127.0.0.1", port, "/", tls=False) == (status, words)


@pytest.mark.parametrize(
    ("answer", "why"), [(b"", "closed without an answer"), (b"SSH-2.0-x\r\n\r\n", "not HTTP")]
)
async def test_what_is_no_http_answer_says_what_it_is(answer: bytes, why: str) -> None:
    server, port = await served(answer)
    async with server:
        with pytest.raises(NoAnswer, match=why):
            await get("127.0.0.1", port, "/", tls=False)


async def test_https_is_asked_whoever_signed_the_certificate(tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a program")])
    began = datetime(2020, 1, 1, tzinfo=UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1)
        .not_valid_before(began)
        .not_valid_after(began + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    private = key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, plain)
    (tmp_path / "both.pem").write_bytes(private + certificate.public_bytes(PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "both.pem")

    server, port = await served(b"HTTP/1.1 200 OK\r\n\r\n", context)
    async with server:
        assert await get("127.0.0.1", port, "/", tls=True) == (200, "")


async def test_a_port_without_a_listener_refuses() -> None:
    with pytest.raises(NoAnswer, match="was refused: nothing listens there"):
        await get("127.0.0.1", free_port(), "/", tls=False)
