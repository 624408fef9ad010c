"""The few questions that the gateway asks its own Envoy, over a socket that nobody else reaches."""

import asyncio
import contextlib
import http.client
import json
import socket
from typing import Any
from urllib.parse import urlencode

from libs.domain.errors import Unavailable
from services.gateway.xds.listener import LISTENER_NAME

_DEADLINE = 2.0
# For an answer that Envoy has to gather.
_PATIENCE = 15.0
_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1"}


class EnvoyAdmin:
    """Envoy's admin page at "unix:/path" or "host:port"."""

    def __init__(self, address: str) -> None:
        self._address = address

    async def listening(self) -> str | None:
        """The "host:port" at which Envoy takes requests; None while it does not, or does not answer."""
        try:
            answer = await self._ask("GET", "/listeners?format=json")
            for status in answer.get("listener_statuses", []):
                if status["name"] == LISTENER_NAME:
                    place = status["local_address"]["socket_address"]
                    return await _accepting(str(place["address"]), int(place["port_value"]))
        except (OSError, http.client.HTTPException, ValueError, KeyError):
            return None
        return None

    async def start_draining(self) -> None:
        """Asks Envoy to end each connection with its next answer."""
        await self._post("/drain_listeners?graceful&skip_exit")

    async def stop_listening(self) -> None:
        """Asks Envoy to take no new connections."""
        await self._post("/drain_listeners")

    async def active_requests(self) -> int:
        """Requests in progress; 0 when Envoy does not answer."""
        try:
            answer = await self._ask("GET", "/stats?format=json&filter=^http.easel.downstream_rq_active$")
            return sum(int(each.get("value", 0)) for each in answer["stats"])
        except (OSError, http.client.HTTPException, ValueError, KeyError):
            return 0

    async def statistics(self, names: str) -> str:
        """What Envoy has counted under names that the regular expression `names` fits, for Prometheus.

        Envoy looks through all its statistics for it: in this format at a tenth of what others cost. Raises
        Unavailable when it does not answer.
        """
        target = "/stats/prometheus?usedonly&" + urlencode({"filter": names})
        try:
            answer = await asyncio.to_thread(_answer, self._address, "GET", target, _PATIENCE)
        except (OSError, http.client.HTTPException) as silent:
            raise Unavailable(f"Envoy does not say what it has counted: {silent}") from silent
        return answer.decode()

    async def _post(self, target: str) -> None:
        """An Envoy that does not answer has nothing left to do."""
        with contextlib.suppress(OSError, http.client.HTTPException):
            await asyncio.to_thread(_answer, self._address, "POST", target)

    async def _ask(self, method: str, target: str) -> dict[str, Any]:
        answer = json.loads(await asyncio.to_thread(_answer, self._address, method, target))
        if not isinstance(answer, dict):
            raise ValueError(f"Envoy answered {target} with no object")
        return answer


class _Connection(http.client.HTTPConnection):
    """One connection to "unix:/path" or "host:port"."""

    def __init__(self, address: str, deadline: float) -> None:
        path = address.removeprefix("unix:") if address.startswith("unix:") else ""
        super().__init__("envoy" if path else address, timeout=deadline)
        self._path, self._deadline = path, deadline

    def connect(self) -> None:
        if not self._path:
            super().connect()
            return
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self._deadline)
        self.sock.connect(self._path)


def _answer(address: str, method: str, target: str, deadline: float = _DEADLINE) -> bytes:
    """Blocks for some milliseconds, or the deadline. Raises OSError and HTTPException."""
    connection = _Connection(address, deadline)
    try:
        connection.request(method, target)
        return connection.getresponse().read()
    finally:
        connection.close()


async def _accepting(host: str, port: int) -> str | None:
    """Envoy lists a listener a little before its workers accept connections."""
    try:
        connecting = asyncio.open_connection(_ANY.get(host, host), port)
        _, writer = await asyncio.wait_for(connecting, _DEADLINE)
    except (OSError, TimeoutError):
        return None
    writer.close()
    return f"{host}:{port}"
