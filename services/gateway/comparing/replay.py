"""Puts a recorded request to an instance of a target."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from itertools import count

import aiohttp
from yarl import URL

from services.gateway.comparing.recorder import LARGEST_BODY
from services.gateway.comparing.sample import Answer, Question
from services.gateway.routes import Mirror

# Where a target has no keepalive.
_LONGEST = timedelta(seconds=60)
# What the client library would add by itself.
_NOT_ADDED = ("Accept", "Accept-Encoding", "User-Agent", "Content-Type")


class Replayer:
    """Asks a target's instances in turn."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session, self._turn = session, count()

    async def answer(self, question: Question, mirror: Mirror) -> Answer | None:
        """What one of the target's instances says; None where it does not within the target's keepalive."""
        place = mirror.endpoints[next(self._turn) % len(mirror.endpoints)]
        host = f"[{place.address}]" if ":" in place.address else place.address
        within = (mirror.keepalive or _LONGEST).total_seconds()
        began = time.perf_counter()
        try:
            async with self._session.request(
                question.method,
                URL(f"http://{host}:{place.port}{question.path}", encoded=True),
                headers=question.headers,
                data=question.body or None,
                allow_redirects=False,
                skip_auto_headers=_NOT_ADDED,
                timeout=aiohttp.ClientTimeout(total=within),
            ) as answered:
                latency = timedelta(seconds=time.perf_counter() - began)
                body = await _beginning(answered)
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError):
            return None
        return Answer(
            status=answered.status,
            body=body[:LARGEST_BODY],
            latency=latency,
            content_type=answered.headers.get("content-type", ""),
            content_encoding=answered.headers.get("content-encoding", ""),
            whole=len(body) <= LARGEST_BODY,
        )


@asynccontextmanager
async def replaying() -> AsyncIterator[Replayer]:
    """A replayer that keeps no connection for longer than a request, like a caller that came by once."""
    connector = aiohttp.TCPConnector(force_close=True, limit=0)
    async with aiohttp.ClientSession(
        connector=connector, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False
    ) as session:
        yield Replayer(session)


async def _beginning(answered: aiohttp.ClientResponse) -> bytes:
    """No more than is compared. Of a stream of events nothing: it may never end, and is not compared."""
    if answered.headers.get("content-type", "").startswith("text/event-stream"):
        return b""
    body = bytearray()
    async for piece in answered.content.iter_any():
        body += piece
        if len(body) > LARGEST_BODY:
            break
    return bytes(body)
