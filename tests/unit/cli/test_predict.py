"""Calling a service from the command line, as a caller would."""

import asyncio
import base64
import hashlib
import hmac
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from easel_sdk import Easel
from easel_sdk.errors import NoGateway
from easel_sdk.predict import GatewayClient, signed_headers
from tests.support.certificates import Authority
from tests.support.command_line import CommandLine
from tests.support.fake_admin import ADMIN_TOKEN, FakeAdmin
from tests.support.free_ports import free_port
from tests.support.recording_http import RecordingHttp, recording_http


@pytest.fixture
def gateway() -> Iterator[RecordingHttp]:
    with recording_http() as server:
        yield server


@pytest.fixture
def calling(lonely: CommandLine, fake: FakeAdmin, gateway: RecordingHttp) -> CommandLine:
    """A command line of an Easel with a service called echo behind its gateway."""
    lonely.knows(scheduler=fake.address, gateway=gateway.url, token=ADMIN_TOKEN)
    fake.create('{"name": "echo"}', "")
    return lonely


def test_the_body_goes_to_standard_output_and_the_rest_beside_it(calling: CommandLine) -> None:
    ran = calling("predict", "echo", "-d", "hello")

    assert (ran.code, ran.out) == (0, "fine")
    assert ran.err.startswith("200 OK  ") and ran.err.endswith(" ms, 4 bytes, text/plain\n")


def test_data_path_headers_and_the_services_token_are_sent(
    calling: CommandLine, gateway: RecordingHttp
) -> None:
    calling("predict", "echo", "-d", "hello", "--path", "v1/chat?x=1", "-H", "X-Trace: 7", "-X", "PUT")

    (asked,) = gateway.asked
    assert (asked.method, asked.path, asked.body) == ("PUT", "/api/predict/echo/v1/chat?x=1", b"hello")
    assert (asked.headers["x-trace"], asked.headers["authorization"]) == ("7", "token-of-echo")


def test_without_data_it_is_a_get(calling: CommandLine, gateway: RecordingHttp) -> None:
    calling("predict", "echo")

    assert (gateway.asked[0].method, gateway.asked[0].body) == ("GET", b"")


def test_data_may_come_from_a_file(calling: CommandLine, gateway: RecordingHttp, tmp_path: Path) -> None:
    (tmp_path / "body").write_bytes(b"\x00\xff")

    calling("predict", "echo", "-d", f"@{tmp_path / 'body'}")
    missing = calling("predict", "echo", "-d", "@nowhere")

    assert gateway.asked[0].body == b"\x00\xff"
    assert missing.code == 4 and "expected a file that can be read" in missing.err


def test_a_signature_is_made_as_the_eas_clients_make_it(calling: CommandLine, gateway: RecordingHttp) -> None:
    calling("predict", "echo", "-d", "hello", "--path", "/sub", "--eas-signature")

    headers = gateway.asked[0].headers
    lines = [
        "POST",
        hashlib.md5(b"hello").hexdigest(),
        headers["content-type"],
        headers["date"],
        "/api/predict/echo/sub",
    ]
    digest = hmac.new(b"token-of-echo", "\n".join(lines).encode(), hashlib.sha1).digest()
    assert headers["authorization"] == f"EAS {base64.b64encode(digest).decode()}"
    assert headers["content-md5"] == lines[1]


def test_a_known_signature_comes_out_as_known() -> None:
    headers = signed_headers(
        "secret", "/api/predict/echo", b"", "application/octet-stream", "Tue, 01 Jan 2030 00:00:00 GMT"
    )

    assert headers["Content-MD5"] == "d41d8cd98f00b204e9800998ecf8427e"
    assert headers["Authorization"] == "EAS nsI9xNmLG0Ak8dOadrckIJSVo8w="


@pytest.mark.parametrize(("status", "code"), [(404, 3), (429, 4), (500, 1), (503, 5), (504, 6)])
def test_the_exit_code_tells_the_status(
    calling: CommandLine, gateway: RecordingHttp, status: int, code: int
) -> None:
    gateway.statuses = [status]

    ran = calling("predict", "echo", "-d", "x")

    assert ran.code == code
    assert ran.err.startswith(str(status)) and ran.out == "fine"


def test_json_output_tells_status_time_headers_and_body(calling: CommandLine, gateway: RecordingHttp) -> None:
    told = calling("predict", "echo", "-o", "json").value
    gateway.body = b"\xff"
    binary = calling("predict", "echo", "-o", "json").value

    assert (told["status"], told["body"]) == (200, "fine")
    assert told["headers"]["content-type"] == "text/plain" and told["seconds"] > 0
    assert binary["body_base64"] == "/w=="


def test_a_failed_call_of_a_grpc_service_says_that_it_speaks_grpc(
    calling: CommandLine, gateway: RecordingHttp, fake: FakeAdmin
) -> None:
    fake.create('{"name": "spoken", "metadata": {"enable_grpc": true}}', "")
    gateway.statuses = [503, 503]

    assert "spoken speaks gRPC" in calling("predict", "spoken").err
    assert "gRPC" not in calling("predict", "echo").err


def test_a_gateway_that_is_away_is_named(lonely: CommandLine, fake: FakeAdmin) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    lonely.knows(scheduler=fake.address, gateway=url, token=ADMIN_TOKEN)
    fake.create('{"name": "echo"}', "")

    ran = lonely("predict", "echo")

    assert (ran.code, ran.err) == (5, f"easel: no gateway at {url}; run `easel up`\n")


def test_a_changed_token_is_asked_for_again_once(fake: FakeAdmin, gateway: RecordingHttp) -> None:
    fake.create('{"name": "echo"}', "")
    gateway.statuses = [200, 401, 200]

    with Easel(fake.address, ADMIN_TOKEN, gateway=gateway.url) as easel:
        statuses = [easel.predict("echo", "x").status for _ in range(2)]

    assert statuses == [200, 200] and len(gateway.asked) == 3


def test_without_a_known_gateway_the_services_endpoint_is_used(
    fake: FakeAdmin, gateway: RecordingHttp
) -> None:
    fake.endpoint = gateway.url
    fake.create('{"name": "echo"}', "")

    with Easel(fake.address, ADMIN_TOKEN) as easel:
        answer = easel.predict("echo", b"x", path="/y")

    assert answer.url == f"{gateway.url}/api/predict/echo/y" and answer.ok


def test_a_group_and_one_member_of_it_are_called_by_name(
    lonely: CommandLine, fake: FakeAdmin, gateway: RecordingHttp
) -> None:
    lonely.knows(scheduler=fake.address, gateway=gateway.url, token=ADMIN_TOKEN)
    fake.create('{"name": "llm-v1", "metadata": {"group": "llm"}}', "")

    lonely("predict", "llm", "-d", "x")
    lonely("predict", "llm.llm-v1", "-d", "x", "--path", "v1")
    unknown = lonely("predict", "gone")
    stranger = lonely("predict", "llm.gone")

    assert [(each.path, each.headers["authorization"]) for each in gateway.asked] == [
        ("/api/predict/llm", "token-of-llm"),
        ("/api/predict/llm.llm-v1/v1", "token-of-llm-v1"),
    ]
    assert (unknown.code, unknown.err) == (3, "easel: no service and no group named 'gone'\n")
    assert (stranger.code, stranger.err) == (3, "easel: no service named 'gone'\n")


def test_a_failed_call_of_a_group_is_no_refusal_of_the_command(
    lonely: CommandLine, fake: FakeAdmin, gateway: RecordingHttp
) -> None:
    lonely.knows(scheduler=fake.address, gateway=gateway.url, token=ADMIN_TOKEN)
    fake.create('{"name": "llm-v1", "metadata": {"group": "llm"}}', "")
    gateway.statuses = [503]

    ran = lonely("predict", "llm")

    assert ran.code == 5 and ran.err.startswith("503")


def test_a_service_on_a_gateway_of_its_own_is_called_there(fake: FakeAdmin, gateway: RecordingHttp) -> None:
    fake.endpoint = gateway.url
    fake.create('{"name": "echo", "networking": {"gateway": "edge"}}', "")

    with Easel(fake.address, ADMIN_TOKEN, gateway=f"http://127.0.0.1:{free_port()}") as easel:
        answer = easel.predict("echo", b"x")

    assert answer.ok and answer.url == f"{gateway.url}/api/predict/echo"


def test_with_a_token_given_the_shared_gateway_is_called_also_without_a_scheduler(
    gateway: RecordingHttp,
) -> None:
    with Easel(f"127.0.0.1:{free_port()}", ADMIN_TOKEN, gateway=gateway.url) as easel:
        answer = easel.predict("echo", b"x", token="mine")

    assert answer.ok and gateway.asked[0].headers["authorization"] == "mine"


def test_a_redirect_is_told_and_is_no_success(calling: CommandLine, gateway: RecordingHttp) -> None:
    gateway.statuses, gateway.location = [308], "https://a.example:8443/api/predict/echo"

    ran = calling("predict", "echo", "-d", "hello")

    assert ran.code == 4 and len(gateway.asked) == 1
    assert "the answer is at https://a.example:8443/api/predict/echo: no redirect is followed" in ran.err
    gateway.statuses, gateway.location = [304], ""
    assert calling("predict", "echo").code == 0


def test_a_gateway_that_sends_to_its_port_with_tls_is_called_there(
    calling: CommandLine, gateway: RecordingHttp, fake: FakeAdmin
) -> None:
    secured = f"https://127.0.0.1:{free_port()}"
    gateway.statuses, gateway.location = [308], f"{secured}/api/predict/echo"
    fake.services["echo"].endpoint = f"{secured}/api/predict/echo"

    ran = calling("predict", "echo")

    assert (ran.code, ran.err) == (5, f"easel: no gateway at {secured}; run `easel up`\n")


def test_a_dedicated_gateway_that_does_not_answer_is_named(calling: CommandLine, fake: FakeAdmin) -> None:
    away = f"http://127.0.0.1:{free_port()}"
    fake.services["echo"].gateway, fake.services["echo"].endpoint = "edge", f"{away}/api/predict/echo"

    ran = calling("predict", "echo")

    assert ran.code == 5 and ran.err == (
        f"easel: no gateway at {away}; echo is on gateway 'edge'; "
        "`easel gateway desc edge` says what is wrong with it\n"
    )


async def test_a_certificate_that_is_not_trusted_is_told_from_nothing_being_there(tmp_path: Path) -> None:
    signed = Authority().signed("127.0.0.1")
    pair = tmp_path / "pair.pem"
    pair.write_text(signed.certificate + signed.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair)
    server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0, ssl=context)
    url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"

    async with server, GatewayClient(url) as client:
        with pytest.raises(NoGateway, match="whose certificate is not trusted on this machine"):
            await client.predict("echo", token="t")


async def test_a_host_name_that_is_not_known_is_told() -> None:
    async with GatewayClient("http://a..b") as client:
        with pytest.raises(NoGateway, match="this machine does not know the name"):
            await client.predict("echo", token="t")
