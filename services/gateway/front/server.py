"""What the gateway process answers by itself, behind Envoy: discovery, and the opening of links."""

import hashlib
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from html import escape
from typing import Protocol

from aiohttp import web

from libs.domain.errors import Unavailable
from libs.rpc.addresses import host_and_port
from services.gateway.front.discovery import endpoints
from services.gateway.front.links import Closed, Link, Opened, opened
from services.gateway.routes import Group, Service
from services.gateway.routing.front import DISCOVERY, EXPORTED, OPEN


class Known(Protocol):
    """What the gateway knows, whether or not the scheduler is there."""

    @property
    def services(self) -> Mapping[str, Service]: ...

    @property
    def groups(self) -> Mapping[str, Group]: ...

    @property
    def domains(self) -> tuple[str, ...]: ...


class Front:
    """Answers from what is known, without asking anybody."""

    def __init__(self, known: Known) -> None:
        self._known = known

    def application(self) -> web.Application:
        """The paths that Envoy sends here."""
        application = web.Application(client_max_size=64 * 1024)
        application.add_routes(
            [
                web.get(DISCOVERY + "{name:.+}", self.discover),
                web.get(EXPORTED + "{name:.+}", self.discover),
                web.get(OPEN + "{service}", self.open),
                web.route("*", "/{anything:(?s:.*)}", self.nothing),
            ]
        )
        return application

    async def discover(self, request: web.Request) -> web.Response:
        """The places of a service, always a list. What follows a slash is no part of the name."""
        name = request.match_info["name"].partition("/")[0]
        items = endpoints(name, self._known.services, self._known.groups)
        if items is None:
            return _sentence(404, f"there is no service or group {name!r} on this gateway")
        body = json.dumps({"endpoints": {"items": items}})
        tag = hashlib.blake2b(body.encode(), digest_size=8).hexdigest()
        same = any(each.value in (tag, "*") for each in request.if_none_match or ())
        answer = web.Response(status=304) if same else _json(200, body)
        answer.etag = tag
        answer.headers["Cache-Control"] = "no-cache"
        return answer

    async def open(self, request: web.Request) -> web.Response:
        """The way into a web app, with the cookie that opens it, or a sentence why not."""
        link = Link(
            service=request.match_info["service"],
            until=request.query.get("until", ""),
            sig=request.query.get("sig", ""),
            to=request.query.get("to", ""),
            host=request.host,
            secure=request.headers.get("X-Forwarded-Proto") == "https",
        )
        service = self._known.services.get(link.service)
        answer = _way(opened(link, service, self._known.domains, datetime.now(UTC)), request)
        # The link must not be kept, nor told to where the app leads.
        answer.headers.update({"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"})
        return answer

    async def nothing(self, _request: web.Request) -> web.Response:
        """What else comes to these paths."""
        return _sentence(
            404, f"nothing is here: GET {DISCOVERY}{{service}}, or a link that `easel open` prints"
        )


@asynccontextmanager
async def serving_front(known: Known, listen: str) -> AsyncIterator[None]:
    """Serves on "unix:/path" or "host:port". Raises Unavailable when the address cannot be bound."""
    # Anybody may send a body, and none is read: one that was unpacked would keep the process from all else.
    runner = web.AppRunner(
        Front(known).application(), access_log=None, shutdown_timeout=1, auto_decompress=False
    )
    await runner.setup()
    try:
        await _site(runner, listen).start()
    except OSError as error:
        await runner.cleanup()
        raise Unavailable(f"cannot listen on {listen}: {error}") from error
    try:
        yield
    finally:
        await runner.cleanup()


def _site(runner: web.AppRunner, listen: str) -> web.BaseSite:
    if listen.startswith("unix:"):
        return web.UnixSite(runner, listen.removeprefix("unix:"))
    return web.TCPSite(runner, *host_and_port(listen, "front_listen"))


def _way(found: Opened | Closed, request: web.Request) -> web.Response:
    if isinstance(found, Closed):
        return (
            _page(found)
            if "text/html" in request.headers.get("Accept", "")
            else _sentence(found.status, found.why)
        )
    answer = web.Response(status=303, headers={"Location": found.location})
    answer.set_cookie(
        found.cookie,
        found.value,
        max_age=found.max_age,
        path=found.path,
        secure=found.secure,
        httponly=True,
        samesite="Lax",
    )
    return answer


def _page(found: Closed) -> web.Response:
    title = "The link does not open anything"
    text = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        f"<h1>{title}</h1><p>{escape(found.why)}</p></html>"
    )
    return web.Response(status=found.status, text=text, content_type="text/html", charset="utf-8")


def _sentence(status: int, why: str) -> web.Response:
    return _json(status, json.dumps({"code": status, "message": why}))


def _json(status: int, body: str) -> web.Response:
    return web.Response(status=status, text=body, content_type="application/json", charset="utf-8")
