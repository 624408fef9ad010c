"""Browsers call gRPC services: gRPC-Web over HTTP/1.1, after a preflight that shows no token."""

import struct
from collections.abc import AsyncIterator

import httpx
import pytest

from tests.support.echo_calls import EchoCalls, echo_calls
from tests.support.gateway_harness import EchoBackend, Harness, bearer, service

ORIGIN = {"origin": "https://pages.example"}
WEB = {"content-type": "application/grpc-web+proto", "x-grpc-web": "1", **ORIGIN}
TRAILERS = 0x80
MODEL = {"host": "model.easel.local"}


@pytest.fixture
async def model(gateway: Harness) -> AsyncIterator[EchoCalls]:
    async with echo_calls() as echo:
        await gateway.serve(service("model", echo.port, grpc=True))
        yield echo


def framed(message: bytes) -> bytes:
    return struct.pack(">BI", 0, len(message)) + message


def frames(body: bytes) -> list[tuple[int, bytes]]:
    found = []
    while body:
        kind, length = struct.unpack(">BI", body[:5])
        found.append((kind, body[5 : 5 + length]))
        body = body[5 + length :]
    return found


async def call(gateway: Harness, method: str, **headers: str) -> httpx.Response:
    url = f"{gateway.url}/api/predict/model/echo.Echo/{method}"
    return await gateway.http.post(url, headers=WEB | headers, content=framed(b"hello"))


async def test_a_unary_call_of_a_browser_is_answered_with_message_and_trailers(
    gateway: Harness, model: EchoCalls
) -> None:
    answer = await call(gateway, "Unary", **bearer())

    assert answer.http_version == "HTTP/1.1"
    assert answer.headers["content-type"] == "application/grpc-web+proto"
    assert answer.headers["access-control-allow-origin"] == ORIGIN["origin"]
    message, trailers = frames(answer.content)
    assert message == (0, b"hello")
    assert trailers[0] == TRAILERS
    assert b"grpc-status:0" in trailers[1]
    assert b"x-trailer:seen" in trailers[1]


async def test_a_stream_comes_down_to_a_browser(gateway: Harness, model: EchoCalls) -> None:
    answer = await call(gateway, "Down", **bearer())

    *messages, trailers = frames(answer.content)
    assert messages == [(0, b"hello")] * 3
    assert b"grpc-status:0" in trailers[1]


async def test_a_refused_call_tells_a_browser_status_and_sentence(gateway: Harness, model: EchoCalls) -> None:
    refused = await call(gateway, "Unary")

    said = refused.content.decode() + str(refused.headers)
    assert "grpc-status" in said and "16" in said
    assert "the token is missing or wrong" in said.replace("%20", " ")
    assert refused.headers["access-control-allow-origin"] == "*"


async def test_a_preflight_passes_without_a_token(gateway: Harness, model: EchoCalls) -> None:
    asked = ORIGIN | {
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization,content-type,x-grpc-web",
    }

    for url, host in ((f"{gateway.url}/api/predict/model/echo.Echo/Unary", {}), (gateway.url, MODEL)):
        answer = await gateway.http.options(url, headers=asked | host)

        assert answer.status_code == 200
        assert answer.headers["access-control-allow-origin"] == ORIGIN["origin"]
        assert "POST" in answer.headers["access-control-allow-methods"]
        assert "authorization" in answer.headers["access-control-allow-headers"]
    assert model.asked == []


@pytest.mark.parametrize("origin", ["", None])
async def test_what_is_no_preflight_does_not_pass_without_a_token(
    gateway: Harness, model: EchoCalls, origin: str | None
) -> None:
    asked = {"access-control-request-method": "POST"} | ({} if origin is None else {"origin": origin})

    answer = await gateway.http.options(f"{gateway.url}/api/predict/model/x", headers=asked)

    assert answer.status_code == 401


async def test_services_that_do_not_speak_grpc_answer_preflights_themselves(
    gateway: Harness, echo: EchoBackend
) -> None:
    await gateway.serve(service("plain", echo.port))
    asked = ORIGIN | {"access-control-request-method": "POST"}

    answer = await gateway.http.options(f"{gateway.url}/api/predict/plain", headers=asked | bearer())
    closed = await gateway.http.options(f"{gateway.url}/api/predict/plain", headers=asked)

    assert answer.json()["method"] == "OPTIONS"
    assert "access-control-allow-origin" not in answer.headers
    assert closed.status_code == 401
