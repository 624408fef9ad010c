"""Links that open a service's pages in a browser: whether one is good, and where it leads. Pure."""

import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote

from libs.web_links import signature
from services.gateway.routes import Service
from services.gateway.routing.rules import PREFIX
from services.gateway.routing.sessions import PERIOD, cookie_name, period_at, session_value

# What would lead out of the app, also as a browser or a server may read it.
_OUTSIDE = re.compile(r"\\|%5c|[\x00-\x1f\x7f]|(^|/)(\.|%2e){1,2}(/|$)", re.IGNORECASE)
_TO_SAFE = "/?#[]@!$&'()*+,;=:%~-._"


@dataclass(frozen=True)
class Link:
    """What a request for a link shows. `host` and `secure` are those of the request itself."""

    service: str
    until: str
    sig: str
    to: str = ""
    host: str = ""
    secure: bool = False


@dataclass(frozen=True)
class Opened:
    """The way into the app: where to go, and the cookie that opens it."""

    location: str
    cookie: str
    value: str
    path: str
    secure: bool
    max_age: int = int(PERIOD.total_seconds())


@dataclass(frozen=True)
class Closed:
    """Why a link opens nothing."""

    status: int
    why: str


def opened(link: Link, service: Service | None, domains: Iterable[str], now: datetime) -> Opened | Closed:
    """What a link leads to; every token of the service may have signed it."""
    if service is None or not service.webservice:
        return Closed(
            404, f"there is no web app {link.service!r} here: check the link, and that the service exists"
        )
    token = _signed_by(link, service)
    if token is None:
        return Closed(403, "this link was not made for this service, or its token is gone: ask for a new one")
    if int(link.until) <= now.timestamp():
        return Closed(403, "this link has expired: ask for a new one, as `easel open` makes it")
    if _OUTSIDE.search(re.split(r"[?#]", link.to)[0]):
        return Closed(403, "`to` must be a path inside the app")
    base = "" if _own_host(link, domains) else PREFIX + service.name
    inside = quote(link.to.lstrip("/"), safe=_TO_SAFE)
    return Opened(
        location=f"{base}/{inside}",
        cookie=cookie_name(service.name),
        value=session_value(token, service.name, period_at(now)),
        path=base or "/",
        secure=link.secure,
    )


def _signed_by(link: Link, service: Service) -> str | None:
    """All tokens are tried, whichever fits, so that the time tells nothing."""
    if not link.until.isascii() or not link.until.isdigit() or len(link.until) > 12:
        return None
    found = None
    for token in service.tokens:
        wanted = signature(token.value, service.name, link.until).encode()
        if hmac.compare_digest(wanted, link.sig.encode()) and token.value:
            found = token.value
    return found


def _own_host(link: Link, domains: Iterable[str]) -> bool:
    """Whether the request came to the service's own host, where the app is at "/"."""
    host = link.host.lower()
    return any(host == f"{link.service}.{domain}".lower() for domain in domains)
