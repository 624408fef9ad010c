"""Several tokens of one service, what is counted of them, and the cookies that open pages in their place."""

import asyncio
import stat
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from services.gateway.routes import Token
from services.gateway.routing.doors import counted_as
from services.gateway.routing.sessions import periods, session_value
from services.gateway.runtime import envoy_dial
from tests.features.gateway.test_urls_and_tokens import signed
from tests.support.gateway_harness import EchoBackend, Harness, bearer, service

VALUES = [f"value-{n}" for n in range(20)]
IDS = ["service:svc", *(f"id-{n}" for n in range(1, 20))]


def admin_socket(gateway: Harness) -> str:
    return envoy_dial(gateway.settings, "unix:", "").admin.removeprefix("unix:")


async def uses(gateway: Harness) -> dict[str, int]:
    """What Envoy has counted, by the name that a token is counted under."""
    transport = httpx.AsyncHTTPTransport(uds=admin_socket(gateway))
    async with httpx.AsyncClient(transport=transport, base_url="http://envoy") as admin:
        text = (await admin.get("/stats", params={"filter": r"\.route\."})).text
    found: dict[str, int] = {}
    for line in text.splitlines():
        name, _, count = line.partition(": ")
        token = name.rpartition(".route.")[2].removesuffix(".upstream_rq_total")
        found[token] = found.get(token, 0) + int(count)
    return found


async def test_each_of_many_tokens_opens_a_service_in_every_form(gateway: Harness, echo: EchoBackend) -> None:
    await gateway.serve(service("svc", echo.port, tokens=VALUES, token_ids=IDS))
    path = "/api/predict/svc/v1/x"

    for value in (VALUES[0], VALUES[7], VALUES[19]):
        for headers in ({"Authorization": value}, bearer(value), signed(path, value)):
            answer = await gateway.http.post(gateway.url + path, content=b"x", headers=headers)
            assert (answer.status_code, answer.json()["path"]) == (200, "/v1/x")
    for form in ("value-", "Bearer value-", "Bearer value-77", "EAS AAAA", "bearer value-7", ""):
        answer = await gateway.http.post(gateway.url + path, headers={"Authorization": form})
        assert answer.status_code == 401, form


async def test_the_uses_of_each_token_are_counted_under_a_name_that_is_no_secret(
    gateway: Harness, echo: EchoBackend
) -> None:
    await gateway.serve(service("svc", echo.port, tokens=VALUES, token_ids=IDS))
    before = await uses(gateway)

    for headers in (bearer(VALUES[3]), {"Authorization": VALUES[3]}, bearer(VALUES[4])):
        await gateway.http.get(f"{gateway.url}/api/predict/svc", headers=headers)
    after = await uses(gateway)

    named = {n: counted_as(Token(VALUES[n], IDS[n])) for n in (3, 4, 5)}
    assert {n: after.get(name, 0) - before.get(name, 0) for n, name in named.items()} == {3: 2, 4: 1, 5: 0}
    assert not any(value in name for value in VALUES for name in after)


async def test_no_other_user_of_the_host_can_read_the_configuration(gateway: Harness) -> None:
    socket = await asyncio.to_thread(Path(admin_socket(gateway)).stat)

    assert stat.S_ISSOCK(socket.st_mode)
    assert socket.st_mode & 0o077 == 0


@pytest.mark.parametrize("tokens", [["one"], ["one", "two"]])
@pytest.mark.parametrize("place", ["path", "host"])
async def test_a_cookie_of_this_period_or_the_last_opens_pages_and_no_other(
    gateway: Harness, echo: EchoBackend, tokens: list[str], place: str
) -> None:
    await gateway.serve(service("app", echo.port, tokens=tokens, webservice=True))
    current, before = periods(datetime.now(UTC))
    url, headers = (f"{gateway.url}/x", {"host": "app.easel.local"})
    if place == "path":
        url, headers = f"{gateway.url}/api/predict/app/x", {}

    async def status(value: str) -> int:
        cookie = {"cookie": f"theme=dark; easel-app={value}; lang=en"}
        return (await gateway.http.get(url, headers=headers | cookie)).status_code

    for token in tokens:
        assert await status(session_value(token, "app", current)) == 200
        assert await status(session_value(token, "app", before)) == 200
    assert await status(session_value("one", "app", before - 1)) == 401
    assert await status(session_value("one", "other", current)) == 401
    assert await status(session_value("wrong", "app", current)) == 401


async def test_pages_that_nobody_opened_say_how_to_open_them(gateway: Harness, echo: EchoBackend) -> None:
    await gateway.serve(service("app", echo.port, webservice=True), service("svc", echo.port))

    refused = await gateway.http.get(f"{gateway.url}/api/predict/app")
    elsewhere = await gateway.http.get(f"{gateway.url}/api/predict/svc")

    assert (refused.status_code, refused.json()["code"]) == (401, 401)
    assert "open the link that `easel open` prints" in refused.json()["message"]
    assert refused.headers["www-authenticate"] == 'Bearer realm="easel"'
    assert "easel open" not in elsewhere.json()["message"]


async def test_a_session_opens_nothing_that_is_not_a_web_service(gateway: Harness, echo: EchoBackend) -> None:
    await gateway.serve(service("svc", echo.port, tokens=["one"]))
    current, _ = periods(datetime.now(UTC))

    cookie = {"cookie": f"easel-svc={session_value('one', 'svc', current)}"}
    answer = await gateway.http.get(f"{gateway.url}/api/predict/svc", headers=cookie)

    assert answer.status_code == 401
