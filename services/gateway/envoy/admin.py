"""The few questions that the gateway asks its own Envoy, over a socket that nobody else reaches."""

import asyncio

import httpx

from services.gateway.xds.listener import LISTENER_NAME

_DEADLINE = 2.0
_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1"}


class EnvoyAdmin:
    """Envoy's admin page at "unix:/path" or "host:port"."""

    def __init__(self, address: str) -> None:
        path = address.removeprefix("unix:") if address.startswith("unix:") else None
        self._transport = httpx.AsyncHTTPTransport(uds=path)
        self._client = httpx.AsyncClient(
            transport=self._transport,
            base_url="http://envoy" if path else f"http://{address}",
            timeout=_DEADLINE,
        )

    async def close(self) -> None:
        """Gives the connection back."""
        await self._client.aclose()

    async def listening(self) -> str | None:
        """The "host:port" at which Envoy takes requests; None while it does not, or does not answer."""
        try:
            answer = await self._client.get("/listeners", params={"format": "json"})
            for status in answer.json().get("listener_statuses", []):
                if status["name"] == LISTENER_NAME:
                    place = status["local_address"]["socket_address"]
                    return await _accepting(str(place["address"]), int(place["port_value"]))
        except (httpx.HTTPError, ValueError, KeyError):
            return None
        return None

    async def start_draining(self) -> None:
        """Asks Envoy to take no new connections and to end the idle ones."""
        try:
            await self._client.post("/drain_listeners", params={"graceful": "", "skip_exit": ""})
        except httpx.HTTPError:
            return

    async def active_requests(self) -> int:
        """Requests in progress; 0 when Envoy does not answer."""
        try:
            answer = await self._client.get(
                "/stats", params={"filter": r"^http\.easel\.downstream_rq_active$", "format": "json"}
            )
            return sum(int(each.get("value", 0)) for each in answer.json()["stats"])
        except (httpx.HTTPError, ValueError, KeyError):
            return 0


async def _accepting(host: str, port: int) -> str | None:
    """Envoy lists a listener a little before its workers accept connections."""
    try:
        connecting = asyncio.open_connection(_ANY.get(host, host), port)
        _, writer = await asyncio.wait_for(connecting, _DEADLINE)
    except (OSError, TimeoutError):
        return None
    writer.close()
    return f"{host}:{port}"
