"""Calling a service through the gateway, and the three forms its token may take."""

import base64
import hashlib
import hmac
import socket
import ssl
import time
from collections.abc import Mapping
from email.utils import formatdate
from enum import StrEnum
from types import TracebackType
from typing import Self

import anyio.lowlevel
import httpx

from easel_sdk.errors import DeadlineExceeded, InvalidRequest, NoGateway, NotFound, Unavailable
from easel_sdk.types import DirectEndpoint, Prediction

CONTENT_TYPE = "application/octet-stream"
# Where the EAS clients ask for the places of a service.
UPSTREAMS = "/api/v1/servicediscovery/upstreams/"


class TokenForm(StrEnum):
    """How a token is sent: as it is, after `Bearer`, or as the signature the EAS clients make."""

    PLAIN = "plain"
    BEARER = "bearer"
    EAS = "eas"


def signed_headers(token: str, path: str, body: bytes, content_type: str, date: str) -> dict[str, str]:
    """The headers of an EAS signature over a POST of `body` to `path`, from `/api/predict/` on."""
    digest = hashlib.md5(body, usedforsecurity=False).hexdigest()
    message = "\n".join(["POST", digest, content_type, date, path])
    signature = hmac.new(token.encode(), message.encode(), hashlib.sha1).digest()
    return {
        "Content-MD5": digest,
        "Content-Type": content_type,
        "Date": date,
        "Authorization": f"EAS {base64.b64encode(signature).decode()}",
    }


def service_path(service: str, path: str) -> str:
    """`/api/predict/name`, and `path` below it."""
    below = path if not path or path.startswith(("/", "?")) else f"/{path}"
    return f"/api/predict/{service}{below}"


class GatewayClient:
    """HTTP calls to services behind one gateway. Close it when done."""

    def __init__(self, gateway: str, seconds: float = 60.0, remedy: str = "run `easel up`") -> None:
        """`gateway` is its URL; `seconds` bounds a call that names no deadline of its own.

        `remedy` says what to do when nothing answers there.
        """
        self.gateway = gateway.rstrip("/")
        self._seconds, self._remedy = seconds, remedy
        self._http = httpx.AsyncClient(follow_redirects=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        await self._http.aclose()

    async def predict(
        self,
        service: str,
        body: bytes = b"",
        *,
        token: str,
        path: str = "",
        headers: Mapping[str, str] | None = None,
        method: str = "POST",
        form: TokenForm = TokenForm.PLAIN,
        seconds: float | None = None,
    ) -> Prediction:
        """One call, whatever its status. Raises `NoGateway`, `DeadlineExceeded` or `InvalidRequest`."""
        target = service_path(service, path)
        sent = _headers(token, target, body, dict(headers or {}), method=method, form=form)
        limit = self._seconds if seconds is None else seconds
        # httpx loads its network backend at its first use; that is not the service's time.
        await anyio.lowlevel.checkpoint()
        began = time.perf_counter()
        answer = await self._asked(service, method, target, body, sent, limit)
        took = time.perf_counter() - began
        return Prediction(answer.status_code, dict(answer.headers), answer.content, took, str(answer.url))

    async def upstreams(self, service: str) -> tuple[DirectEndpoint, ...]:
        """Where clients that connect directly call the service. Raises `NotFound` where it is unknown."""
        answer = await self._asked(service, "GET", f"{UPSTREAMS}{service}", b"", {}, self._seconds)
        try:
            items = answer.raise_for_status().json()["endpoints"]["items"]
            return tuple(DirectEndpoint(each["ip"], int(each["port"]), int(each["weight"])) for each in items)
        except (httpx.HTTPStatusError, ValueError, KeyError, TypeError) as error:
            said = f"answered {answer.status_code} to who asks where {service} is"
            refusal = NotFound if answer.status_code == 404 else Unavailable
            raise refusal(f"the gateway at {self.gateway} {said}") from error

    async def _asked(
        self, service: str, method: str, target: str, body: bytes, headers: Mapping[str, str], limit: float
    ) -> httpx.Response:
        try:
            return await self._http.request(
                method, f"{self.gateway}{target}", content=body, headers=dict(headers), timeout=limit
            )
        except httpx.TimeoutException as error:
            raise DeadlineExceeded(f"{service} did not answer within {limit:g} s") from error
        except httpx.ConnectError as error:
            raise NoGateway(self.gateway, _remedy(error) or self._remedy) from error
        except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            raise InvalidRequest("gateway", self.gateway, "a URL such as http://127.0.0.1:8800") from error
        except httpx.TransportError as error:
            raise NoGateway(self.gateway, self._remedy) from error


def _remedy(error: BaseException | None) -> str:
    """What to do where it is the name or the certificate that keeps a caller out; else empty."""
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return (
                "there is one whose certificate is not trusted on this machine for that name: "
                "SSL_CERT_FILE may name a file with those that are"
            )
        if isinstance(error, socket.gaierror):
            return "this machine does not know the name: have DNS or /etc/hosts lead it to the gateway"
        error = error.__cause__ or error.__context__
    return ""


def _headers(
    token: str, target: str, body: bytes, given: dict[str, str], *, method: str, form: TokenForm
) -> dict[str, str]:
    names = {name.lower() for name in given}
    if "authorization" in names or not token:
        return given
    if form is TokenForm.EAS:
        if method != "POST":
            raise InvalidRequest("method", method, "POST, the only method an EAS signature covers")
        kind = next((value for name, value in given.items() if name.lower() == "content-type"), CONTENT_TYPE)
        rest = {name: value for name, value in given.items() if name.lower() != "content-type"}
        return {**rest, **signed_headers(token, target, body, kind, formatdate(usegmt=True))}
    value = f"Bearer {token}" if form is TokenForm.BEARER else token
    extra = {} if "content-type" in names or not body else {"Content-Type": CONTENT_TYPE}
    return {**extra, **given, "Authorization": value}
