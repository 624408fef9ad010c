"""One GET of a probe: a connection of its own, closed as soon as the answer is known."""

import asyncio
import ssl
from contextlib import suppress

_LONGEST_HEAD = 64 << 10
_BODY_SHOWN = 200
_BODY_WITHIN = 0.5


class NoAnswer(Exception):
    """What came instead of an HTTP answer, in words that follow "GET /path"."""


async def get(host: str, port: int, path: str, *, tls: bool) -> tuple[int, str]:
    """The status, and the beginning of the body of an answer that is no success. Raises NoAnswer."""
    context = _anybody() if tls else None
    try:
        reader, writer = await asyncio.open_connection(host, port, ssl=context, limit=_LONGEST_HEAD)
    except ConnectionRefusedError as refused:
        raise NoAnswer(f"on port {port} was refused: nothing listens there") from refused
    except ssl.SSLError as refused:
        raise NoAnswer(f"on port {port} found no TLS") from refused
    except OSError as refused:
        raise NoAnswer(f"on port {port} found no connection: {refused.strerror or refused}") from refused
    try:
        shown = f"[{host}]" if ":" in host else host
        asked = f"GET {path} HTTP/1.1\r\nHost: {shown}:{port}\r\nUser-Agent: easel-probe\r\n"
        writer.write(f"{asked}Accept: */*\r\nConnection: close\r\n\r\n".encode())
        status, length, chunked = _head(await reader.readuntil(b"\r\n\r\n"))
        body = b"" if 200 <= status < 400 else await _beginning(reader, length, chunked)
        return status, " ".join(body.decode(errors="replace").split())[:_BODY_SHOWN]
    except (OSError, asyncio.IncompleteReadError) as broken:
        raise NoAnswer("found the connection closed without an answer") from broken
    except (ValueError, asyncio.LimitOverrunError) as strange:
        raise NoAnswer("got an answer that is not HTTP") from strange
    finally:
        writer.transport.abort()


def _head(head: bytes) -> tuple[int, int | None, bool]:
    """Status, length of the body where it is told, and whether the body comes in chunks."""
    first, *lines = head.decode("latin-1").split("\r\n")
    version, status, *_ = first.split(" ")
    if not version.startswith("HTTP/1."):
        raise ValueError(version)
    fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    length = fields.get("content-length")
    chunked = fields.get("transfer-encoding", "").lower() == "chunked"
    return int(status), int(length) if length is not None else None, chunked


async def _beginning(reader: asyncio.StreamReader, length: int | None, chunked: bool) -> bytes:
    """What there is of the body; an answer without all of it is an answer."""
    said = b""
    with suppress(OSError, ValueError, asyncio.IncompleteReadError, TimeoutError):
        async with asyncio.timeout(_BODY_WITHIN):
            if chunked:
                length = int((await reader.readline()).split(b";")[0], 16)
            wanted = 4 * _BODY_SHOWN if length is None else min(length, 4 * _BODY_SHOWN)
            while len(said) < wanted and (part := await reader.read(wanted - len(said))):
                said += part
    return said


def _anybody() -> ssl.SSLContext:
    """Takes every certificate, as a program's own is seldom one that is known here."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
