"""Envoy's question whether a request may go on, which is answered when it need not wait any more."""

from typing import Any

from envoy.config.core.v3.base_pb2 import HeaderValue, HeaderValueOption
from envoy.service.auth.v3 import external_auth_pb2, external_auth_pb2_grpc
from envoy.type.v3.http_status_pb2 import HttpStatus
from google.rpc.status_pb2 import Status
from grpc import StatusCode

from services.gateway.routing.waiting import RETRY_AFTER
from services.gateway.waiting.room import Asked, WaitingRoom

AUTHORIZATION_SERVICE = "envoy.service.auth.v3.Authorization"
# Envoy looks for the route anew only where an answer changes a header of the request; nobody sends this one.
_NO_HEADER = "x-easel-waited"


class WaitingServicer(external_auth_pb2_grpc.AuthorizationServicer):  # type: ignore[misc]
    """Translates; a client that went away is a call that is cancelled."""

    def __init__(self, room: WaitingRoom) -> None:
        self._room = room

    async def Check(self, request: Any, _context: Any) -> Any:
        attributes = request.attributes
        named, asked = attributes.context_extensions, attributes.request
        came = asked.time.seconds + asked.time.nanos / 1e9
        length = asked.http.headers["content-length"]
        told = Asked(named["service"], named["group"], came, int(length) if length.isdecimal() else -1)
        refusal = await self._room.enter(told)
        return _refused(refusal) if refusal else _go_on()


def _go_on() -> Any:
    ok = external_auth_pb2.OkHttpResponse(headers_to_remove=[_NO_HEADER])
    return external_auth_pb2.CheckResponse(status=Status(code=0), ok_response=ok)


def _refused(why: str) -> Any:
    again = HeaderValueOption(header=HeaderValue(key="retry-after", value=str(RETRY_AFTER)))
    denied = external_auth_pb2.DeniedHttpResponse(status=HttpStatus(code=503), headers=[again], body=why)
    unavailable = Status(code=StatusCode.UNAVAILABLE.value[0])
    return external_auth_pb2.CheckResponse(status=unavailable, denied_response=denied)
