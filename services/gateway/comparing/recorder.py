"""Asks Envoy's admin page for a few requests with their answers."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from http import HTTPStatus

import aiohttp
from envoy.data.tap.v3.wrapper_pb2 import TraceWrapper
from google.protobuf.message import DecodeError

from libs.domain.errors import Unavailable
from services.gateway.comparing.sample import Sample, sample_of
from services.gateway.xds.samples import SAMPLES

# How much is kept of the body of a request, and of an answer.
LARGEST_BODY = 1024 * 1024
_PATIENCE = timedelta(seconds=5)


class Recorder:
    """Envoy holds what it records in memory until it has as many as were asked for, or the time is over.

    It records nothing when nobody asks.
    """

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session, self._url = session, url

    async def recorded(self, most: int, within: timedelta) -> list[Sample]:
        """At most so many requests that ended within this time. Raises Unavailable."""
        timeout = aiohttp.ClientTimeout(total=(within + _PATIENCE).total_seconds())
        try:
            async with self._session.post(self._url, data=_asked(most, within), timeout=timeout) as answer:
                body = await answer.read()
        except (aiohttp.ClientError, OSError, TimeoutError) as silent:
            raise Unavailable(f"Envoy records no requests: {silent or type(silent).__name__}") from silent
        if answer.status != HTTPStatus.OK:
            raise Unavailable(f"Envoy records no requests: {body[:200].decode(errors='replace')}")
        try:
            return await asyncio.to_thread(_samples, body)
        except (DecodeError, IndexError) as cut:
            raise Unavailable("Envoy was stopped while it told what it had recorded") from cut


@asynccontextmanager
async def recording(address: str) -> AsyncIterator[Recorder]:
    """A recorder at the Envoy whose admin page is at "unix:/path" or "host:port"."""
    path = address.removeprefix("unix:") if address.startswith("unix:") else ""
    connector = aiohttp.UnixConnector(path) if path else aiohttp.TCPConnector()
    async with aiohttp.ClientSession(connector=connector) as session:
        yield Recorder(session, f"http://{'envoy' if path else address}/tap")


def _asked(most: int, within: timedelta) -> str:
    """Delimited messages are the one form in which Envoy sends several without making JSON of them."""
    sink = {
        "format": "PROTO_BINARY_LENGTH_DELIMITED",
        "buffered_admin": {"max_traces": most, "timeout": f"{within.total_seconds():.3f}s"},
    }
    output = {
        "max_buffered_rx_bytes": LARGEST_BODY,
        "max_buffered_tx_bytes": LARGEST_BODY,
        "sinks": [sink],
    }
    return json.dumps(
        {"config_id": SAMPLES, "tap_config": {"match": {"any_match": True}, "output_config": output}}
    )


def _samples(body: bytes) -> list[Sample]:
    traces = (TraceWrapper.FromString(message) for message in _delimited(body))
    return [found for each in traces if (found := sample_of(each.http_buffered_trace)) is not None]


def _delimited(body: bytes) -> Iterator[bytes]:
    """Each message has its length before it, seven bits a byte, the lowest first."""
    at = 0
    while at < len(body):
        length = shift = 0
        while body[at] & 0x80:
            length |= (body[at] & 0x7F) << shift
            at, shift = at + 1, shift + 7
        length |= body[at] << shift
        yield body[at + 1 : at + 1 + length]
        at += 1 + length
