"""How a client reaches a service: by path or host name, with one of three forms of its token."""

import base64
import hashlib
import hmac
from typing import Any

import pytest

from tests.support.gateway_harness import TOKEN, EchoBackend, Harness, bearer, service


def signed(path: str, token: str = TOKEN, **headers: str) -> dict[str, str]:
    """The headers that the public SDKs send."""
    named = {
        "Content-MD5": hashlib.md5(b"x").hexdigest(),
        "Content-Type": "application/octet-stream",
        "Date": "Sun, 22 Nov 2026 08:00:00 GMT",
        **headers,
    }
    text = "\n".join(("POST", named["Content-MD5"], named["Content-Type"], named["Date"], path))
    digest = hmac.new(token.encode(), text.encode(), hashlib.sha1).digest()
    return named | {"Authorization": f"EAS {base64.b64encode(digest).decode()}"}


@pytest.mark.parametrize(
    ("asked", "seen"),
    [
        ("/api/predict/svc", "/"),
        ("/api/predict/svc/", "/"),
        ("/api/predict/svc?b=1", "/?b=1"),
        ("/api/predict/svc/a/b?c=d%2Fe", "/a/b?c=d%2Fe"),
        ("/api/predict/svc/v1/models/m:predict", "/v1/models/m:predict"),
    ],
)
async def test_an_instance_does_not_see_the_prefix_of_its_service(
    gateway: Harness, echo: EchoBackend, asked: str, seen: str
) -> None:
    await gateway.serve(service("svc", echo.port))

    answer = await gateway.http.get(gateway.url + asked, headers=bearer())

    assert answer.status_code == 200, answer.text
    assert answer.json()["path"] == seen


async def test_a_service_that_keeps_its_path_sees_it_whole(gateway: Harness, echo: EchoBackend) -> None:
    await gateway.serve(service("svc", echo.port, keep_path=True))

    for path in ("/api/predict/svc", "/api/predict/svc/a?b=1"):
        answer = await gateway.http.get(gateway.url + path, headers=bearer())

        assert answer.json()["path"] == path


@pytest.mark.parametrize("host", ["svc.easel.local", "svc.easel.local:{port}"])
async def test_a_service_answers_at_its_host_name_and_sees_path_and_host_whole(
    gateway: Harness, echo: EchoBackend, host: str
) -> None:
    await gateway.serve(service("svc", echo.port))
    host = host.format(port=gateway.port)

    answer = await gateway.http.get(f"{gateway.url}/x/y/z?q=1", headers=bearer() | {"Host": host})

    assert answer.json()["path"] == "/x/y/z?q=1"
    assert answer.json()["headers"]["host"] == host


async def test_a_service_can_be_named_in_a_header(gateway: Harness, echo: EchoBackend) -> None:
    await gateway.serve(service("svc", echo.port))

    answer = await gateway.http.get(f"{gateway.url}/x", headers=bearer() | {"X-Easel-Service": "svc"})

    assert answer.json()["path"] == "/x"


@pytest.mark.parametrize("path", ["/api/predict/svcx", "/api/predict/", "/", "/a/p/svc", "/x/y/svc"])
async def test_an_unknown_service_is_404_with_a_sentence(
    gateway: Harness, echo: EchoBackend, path: str
) -> None:
    await gateway.serve(service("svc", echo.port))

    answer = await gateway.http.get(gateway.url + path, headers=bearer())

    assert answer.status_code == 404
    assert answer.json()["code"] == 404
    assert answer.json()["message"].startswith("no service answers here")


async def test_the_headers_of_the_gateways_own_neither_leak_nor_can_be_forged(
    gateway: Harness, echo: EchoBackend
) -> None:
    await gateway.serve(service("svc", echo.port))
    forged = {
        "x-easel-scope": "/api/predict/other",
        "x-easel-mirror-of": "other",
        "x-envoy-upstream-rq-timeout-ms": "1",
        "x-envoy-internal": "true",
    }

    answer = await gateway.http.get(f"{gateway.url}/api/predict/svc", headers=bearer() | forged)

    assert answer.status_code == 200
    steering = {name for name in answer.json()["headers"] if name.startswith(("x-easel", "x-envoy"))}
    assert steering <= {"x-envoy-external-address"}


@pytest.mark.parametrize("form", [TOKEN, f"Bearer {TOKEN}", "second", "Bearer second"])
async def test_any_token_of_a_service_opens_it_plain_or_as_bearer(
    gateway: Harness, echo: EchoBackend, form: str
) -> None:
    await gateway.serve(service("svc", echo.port, tokens=[TOKEN, "second"]))

    answer = await gateway.http.get(f"{gateway.url}/api/predict/svc", headers={"Authorization": form})

    assert answer.status_code == 200
    assert answer.json()["headers"]["authorization"] == form


@pytest.mark.parametrize("form", ["", "wrong", "Bearer wrong", f"bearer{TOKEN}", f"x {TOKEN}", "EAS AAAA"])
@pytest.mark.parametrize("place", ["path", "host"])
async def test_a_missing_or_wrong_token_is_401_with_a_sentence(
    gateway: Harness, echo: EchoBackend, form: str, place: str
) -> None:
    await gateway.serve(service("svc", echo.port))
    headers = {"Authorization": form} if form else {}
    if place == "host":
        headers["Host"] = "svc.easel.local"

    answer = await gateway.http.get(
        f"{gateway.url}/api/predict/svc" if place == "path" else gateway.url, headers=headers
    )

    assert answer.status_code == 401
    assert answer.json()["code"] == 401
    assert "the token is missing or wrong" in answer.json()["message"]
    assert answer.headers["www-authenticate"] == 'Bearer realm="easel"'
    assert echo.requests == []


async def test_the_token_of_one_service_does_not_open_another(gateway: Harness, echo: EchoBackend) -> None:
    await gateway.serve(service("one", echo.port, tokens=["1"]), service("two", echo.port, tokens=["2"]))

    answer = await gateway.http.get(f"{gateway.url}/api/predict/one", headers=bearer("2"))

    assert answer.status_code == 401


JAVA_MD5 = {"Content-MD5": "cc175b9c0f1b6a831c399e269772661"}


@pytest.mark.parametrize(
    ("asked", "signs", "more"),
    [
        ("/api/predict/svc", "/api/predict/svc", {}),
        ("/api/predict/svc/a", "/api/predict/svc/a", {}),
        ("/api/predict/svc/a?b=1", "/api/predict/svc/a?b=1", {}),
        ("/api/predict/svc/a?b=1", "/api/predict/svc/a", {}),
        ("/api/predict/svc", "/api/predict/svc", JAVA_MD5),
        ("/api/predict/svc", "/api/predict/svc", {"Content-Type": "application/json"}),
    ],
)
@pytest.mark.parametrize("token", ["tok", "t" * 80])
async def test_a_signed_request_passes(
    gateway: Harness, echo: EchoBackend, asked: str, signs: str, more: dict[str, str], token: str
) -> None:
    await gateway.serve(service("svc", echo.port, tokens=["another", token]))

    answer = await gateway.http.post(gateway.url + asked, content=b"x", headers=signed(signs, token, **more))

    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(
    "change",
    [
        {"Authorization": "EAS x"},
        {"Authorization": "EAS " + base64.b64encode(b"0" * 20).decode()},
        {"Date": "Sun, 22 Nov 2026 08:00:01 GMT"},
        {"Content-MD5": "0"},
        {"Content-Type": "text/plain"},
    ],
)
async def test_a_request_whose_signature_does_not_fit_is_401(
    gateway: Harness, echo: EchoBackend, change: dict[str, Any]
) -> None:
    await gateway.serve(service("svc", echo.port))
    headers = signed("/api/predict/svc") | change

    answer = await gateway.http.post(f"{gateway.url}/api/predict/svc", content=b"x", headers=headers)

    assert answer.status_code == 401
    assert "the token is missing or wrong" in answer.json()["message"]
    assert echo.requests == []


@pytest.mark.parametrize(("length", "status"), [(8000, 200), (9000, 401)])
async def test_a_signature_is_over_8_kib_at_most(
    gateway: Harness, echo: EchoBackend, length: int, status: int
) -> None:
    await gateway.serve(service("svc", echo.port))
    path = f"/api/predict/svc?{'q' * length}"

    answer = await gateway.http.post(gateway.url + path, headers=signed(path))

    assert answer.status_code == status


async def test_a_signature_for_one_path_does_not_open_another(gateway: Harness, echo: EchoBackend) -> None:
    await gateway.serve(service("svc", echo.port))

    headers = signed("/api/predict/svc/a")
    answer = await gateway.http.post(f"{gateway.url}/api/predict/svc/b", content=b"x", headers=headers)

    assert answer.status_code == 401
