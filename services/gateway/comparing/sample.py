"""A recorded request with its answer, as values. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from envoy.data.tap.v3.http_pb2 import HttpBufferedTrace

from services.gateway.routes import Mirror
from services.gateway.xds.mirrors import MIRROR_HEADER

PREFIX = "/api/predict/"
# They belong to one connection, or to the caller alone, or are made anew.
_KEPT_BACK = frozenset(
    (
        "accept-encoding",
        "authorization",
        "connection",
        "content-length",
        "cookie",
        "expect",
        "keep-alive",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "traceparent",
        "tracestate",
    )
)


@dataclass(frozen=True)
class Answer:
    """What came back. `whole` is false where its body was longer than what is kept of it."""

    status: int
    body: bytes
    latency: timedelta
    content_type: str = ""
    content_encoding: str = ""
    whole: bool = True


@dataclass(frozen=True)
class Sample:
    """A request as an instance saw it, and what that instance answered."""

    instance: tuple[str, int]
    method: str
    authority: str
    path: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    answer: Answer


@dataclass(frozen=True)
class Question:
    """A request as it goes to a target."""

    method: str
    path: str
    headers: tuple[tuple[str, str], ...]
    body: bytes


def sample_of(trace: HttpBufferedTrace) -> Sample | None:
    """None for what cannot be asked again: no instance was asked, it is cut, or it changed protocols."""
    request, response = trace.request, trace.response
    asked, answered = _named(request.headers), _named(response.headers)
    place = trace.upstream_connection.remote_address.socket_address
    status = answered.get(":status", "")
    if not place.port_value or not status.isdigit() or request.body.truncated:
        return None
    if "upgrade" in asked or asked.get(":method") == "CONNECT" or status == "101":
        return None
    latency = response.headers_received_time.ToNanoseconds() - request.headers_received_time.ToNanoseconds()
    return Sample(
        instance=(place.address, place.port_value),
        method=asked.get(":method", "GET"),
        authority=asked.get(":authority", ""),
        path=asked.get(":path", "/"),
        headers=tuple((each.key, _value(each)) for each in request.headers if not each.key.startswith(":")),
        body=_body(request.body),
        answer=Answer(
            status=int(status),
            body=_body(response.body),
            latency=timedelta(microseconds=latency / 1000),
            content_type=answered.get("content-type", ""),
            content_encoding=answered.get("content-encoding", ""),
            whole=not response.body.truncated,
        ),
    )


def asked_again(sample: Sample, service: str, keeps_path: bool, mirror: Mirror) -> Question:
    """The request as it is put to a target: without what opens the service that was called."""
    headers = [(name, value) for name, value in sample.headers if not _is_kept_back(name)]
    return Question(
        method=sample.method,
        path=path_at(sample.path, keeps_path, mirror),
        headers=(
            ("host", sample.authority),
            *headers,
            ("accept-encoding", "identity"),
            (MIRROR_HEADER, service),
        ),
        body=sample.body,
    )


def path_at(path: str, keeps_path: bool, mirror: Mirror) -> str:
    """Where an instance of the target would see a request that one of the service saw at `path`."""
    if not (keeps_path or mirror.keep_path):
        return path
    rest = path
    if keeps_path and path.startswith(PREFIX):
        name = path.removeprefix(PREFIX)
        ends = min((at for at in (name.find("/"), name.find("?")) if at >= 0), default=len(name))
        rest = name[ends:] if ends else path
    front = PREFIX + mirror.service if mirror.keep_path else ""
    whole = front + rest
    return whole if whole.startswith("/") else f"/{whole}"


def _is_kept_back(name: str) -> bool:
    return name in _KEPT_BACK or name.startswith(("x-envoy-", "x-forwarded-", "proxy-"))


def _named(headers: Iterable[Any]) -> Mapping[str, str]:
    return {each.key: _value(each) for each in headers}


def _value(header: Any) -> str:
    return str(header.value or header.raw_value.decode("latin-1"))


def _body(body: Any) -> bytes:
    return bytes(body.as_bytes or body.as_string.encode())
