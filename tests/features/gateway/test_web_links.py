"""Links into web apps, as a browser follows them: a cookie instead of a token, for that app alone."""

import time
from urllib.parse import urlencode

import httpx

from libs.web_links import signature
from tests.support.gateway_harness import TOKEN, EchoBackend, Harness, echo_backend, service


def link(gateway: Harness, name: str = "app", valid_for: float = 60.0, **query: str) -> str:
    until = str(int(time.time() + valid_for))
    shown = {"until": until, "sig": signature(TOKEN, name, until)} | query
    return f"{gateway.url}/easel/open/{name}?{urlencode(shown)}"


async def test_a_link_opens_the_app_and_its_cookie_goes_on_opening_it(
    gateway: Harness, echo: EchoBackend
) -> None:
    await gateway.serve(service("app", echo.port, webservice=True))
    async with httpx.AsyncClient(timeout=20, follow_redirects=True) as browser:
        opened = await browser.get(link(gateway, to="chat?theme=dark"))
        again = await browser.get(f"{gateway.url}/api/predict/app/queue")

    assert opened.json()["path"] == "/chat?theme=dark"
    assert str(opened.url) == f"{gateway.url}/api/predict/app/chat?theme=dark"
    assert again.json()["path"] == "/queue"
    assert again.json()["headers"]["x-forwarded-prefix"] == "/api/predict/app"


async def test_the_cookie_is_the_browsers_alone_and_for_this_app_alone(
    gateway: Harness, echo: EchoBackend
) -> None:
    await gateway.serve(
        service("app", echo.port, webservice=True), service("other", echo.port, webservice=True)
    )

    opened = await gateway.http.get(link(gateway))
    cookie = opened.headers["set-cookie"]
    headers = {"Cookie": cookie.partition(";")[0]}
    elsewhere = await gateway.http.get(f"{gateway.url}/api/predict/other/", headers=headers)

    assert opened.status_code == 303
    assert opened.headers["cache-control"] == "no-store"
    assert {"HttpOnly", "SameSite=Lax", "Path=/api/predict/app", "Max-Age=43200"} <= set(cookie.split("; "))
    assert TOKEN not in cookie
    assert elsewhere.status_code == 401


async def test_on_its_own_host_the_app_is_at_the_root(gateway: Harness, echo: EchoBackend) -> None:
    await gateway.serve(service("app", echo.port, webservice=True))
    host = {"Host": f"app.easel.local:{gateway.port}"}

    opened = await gateway.http.get(link(gateway), headers=host)
    cookie = opened.headers["set-cookie"]
    page = await gateway.http.get(
        gateway.url + opened.headers["location"], headers=host | {"Cookie": cookie.partition(";")[0]}
    )

    assert opened.headers["location"] == "/"
    assert "Path=/;" in cookie + ";"
    assert (page.json()["path"], "x-forwarded-prefix" in page.json()["headers"]) == ("/", False)


async def test_what_is_no_good_link_is_refused_in_a_sentence(gateway: Harness) -> None:
    async with echo_backend() as echo:
        await gateway.serve(service("app", echo.port, webservice=True), service("api", echo.port))

        expired = await gateway.http.get(link(gateway, valid_for=-1))
        forged = await gateway.http.get(link(gateway, sig="0" * 64))
        outside = await gateway.http.get(link(gateway, to="../api/"))
        no_app = await gateway.http.get(link(gateway, name="api"))
        shown = await gateway.http.get(link(gateway, valid_for=-1), headers={"Accept": "text/html"})
        no_cookie = await gateway.http.get(f"{gateway.url}/api/predict/app/")

    answers = (expired, forged, outside, no_app, no_cookie)
    assert [each.status_code for each in answers] == [403, 403, 403, 404, 401]
    assert "expired" in expired.json()["message"]
    assert all("set-cookie" not in each.headers for each in answers)
    assert "<p>this link has expired" in shown.text
    assert echo.requests == []
