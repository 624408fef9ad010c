"""Links into web apps: what opens, where it leads, and what is refused."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from libs.web_links import signature
from services.gateway.front.links import Closed, Link, Opened, opened
from services.gateway.routes import Service, Token
from services.gateway.routing.sessions import period_at, session_value

NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
UNTIL = str(int((NOW + timedelta(minutes=5)).timestamp()))
APP = Service("studio", (Token("first"), Token("second")), webservice=True)
DOMAINS = ("easel.local", "easel.local:8800")
LINK = Link("studio", UNTIL, signature("first", "studio", UNTIL), host="gateway:8800")


def way(link: Link = LINK, service: Service | None = APP, now: datetime = NOW) -> Opened:
    found = opened(link, service, DOMAINS, now)
    assert isinstance(found, Opened), found
    return found


def refusal(link: Link = LINK, service: Service | None = APP, now: datetime = NOW) -> Closed:
    found = opened(link, service, DOMAINS, now)
    assert isinstance(found, Closed), found
    return found


def test_a_good_link_leads_into_the_app_below_its_path() -> None:
    found = way()

    assert (found.location, found.path) == ("/api/predict/studio/", "/api/predict/studio")
    assert (found.cookie, found.max_age) == ("easel-studio", 12 * 3600)


@pytest.mark.parametrize("host", ["studio.easel.local", "STUDIO.easel.local:8800"])
def test_on_the_apps_own_host_the_app_is_at_the_root(host: str) -> None:
    found = way(replace(LINK, host=host))

    assert (found.location, found.path) == ("/", "/")


@pytest.mark.parametrize("host", ["other.easel.local", "studio.elsewhere", "studio.easel.local.evil:8800"])
def test_another_host_is_not_the_apps_own(host: str) -> None:
    assert way(replace(LINK, host=host)).path == "/api/predict/studio"


def test_any_token_of_the_service_may_have_signed_and_the_cookie_is_made_of_the_one_that_did() -> None:
    by_second = replace(LINK, sig=signature("second", "studio", UNTIL))

    assert way(by_second).value == session_value("second", "studio", period_at(NOW))
    assert way().value != way(by_second).value


def test_the_cookie_is_for_tls_alone_where_the_link_came_by_tls() -> None:
    assert way(replace(LINK, secure=True)).secure
    assert not way().secure


def test_a_link_ends_when_it_says() -> None:
    refused = refusal(now=NOW + timedelta(minutes=5))

    assert (refused.status, "has expired" in refused.why) == (403, True)


@pytest.mark.parametrize(
    "change",
    [
        {"sig": ""},
        {"sig": "0" * 64},
        {"sig": "ünicode"},
        {"sig": signature("another", "studio", UNTIL)},
        {"sig": signature("", "studio", UNTIL)},
        {"sig": signature("first", "other", UNTIL)},
        {"until": str(int(UNTIL) + 1)},
        {"until": "9" * 13},
        {"until": "-1"},
        {"until": "١٢"},
        {"until": ""},
    ],
)
def test_what_no_token_has_signed_opens_nothing(change: dict[str, str]) -> None:
    assert refusal(replace(LINK, **change)).status == 403  # type: ignore[arg-type]


def test_a_service_without_tokens_is_opened_by_no_link() -> None:
    empty = replace(LINK, sig=signature("", "studio", UNTIL))

    assert refusal(empty, replace(APP, tokens=())).status == 403
    assert refusal(empty, replace(APP, tokens=(Token(""),))).status == 403


def test_only_web_apps_are_opened() -> None:
    assert refusal(service=replace(APP, webservice=False)).status == 404
    assert refusal(service=None).status == 404


@pytest.mark.parametrize(
    ("to", "location"),
    [
        ("chat", "/api/predict/studio/chat"),
        ("/chat/1?model=a b&x=%20#end", "/api/predict/studio/chat/1?model=a%20b&x=%20#end"),
        ("?theme=dark", "/api/predict/studio/?theme=dark"),
        ("//evil.example/x", "/api/predict/studio/evil.example/x"),
        ("https://evil.example", "/api/predict/studio/https://evil.example"),
        ("a..b/...", "/api/predict/studio/a..b/..."),
    ],
)
def test_a_link_may_lead_to_any_place_in_the_app(to: str, location: str) -> None:
    assert way(replace(LINK, to=to)).location == location


@pytest.mark.parametrize(
    "to",
    ["../other", "x/../../../y", "..", "x/%2e%2E/y", "./x", "\\\\evil", "/%5cevil", "a\r\nSet-Cookie: b"],
)
def test_a_link_leads_nowhere_outside_the_app(to: str) -> None:
    assert refusal(replace(LINK, to=to)).status == 403


def test_on_its_own_host_no_place_becomes_another_host() -> None:
    assert way(replace(LINK, host="studio.easel.local", to="//evil.example")).location == "/evil.example"
