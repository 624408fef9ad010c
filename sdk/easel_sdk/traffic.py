"""What the gateways know of requests, over the admin API: numbers, routes, links."""

from collections.abc import Mapping
from datetime import timedelta

from easel.admin.v1 import admin_pb2 as pb
from easel.admin.v1 import admin_pb2_grpc as rpc
from easel_sdk import _convert_traffic as convert
from easel_sdk._convert import moment
from easel_sdk._wire import Wire
from easel_sdk.types import RouteExplanation, Traffic, WebLink


class AsyncTraffic:
    """Numbers of a service's requests, why a request goes where it goes, and links for browsers."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._stub = rpc.TrafficServiceStub(wire.channel)

    async def get(self, service: str) -> Traffic:
        """What the Envoys of all gateways counted for each version of the service since they started."""
        request = pb.GetTrafficRequest(service=service)
        return convert.traffic(await self._wire.call(self._stub.GetTraffic, request, repeatable=True))

    async def explain(
        self,
        url: str,
        *,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        with_token: bool = False,
        from_address: str = "",
    ) -> RouteExplanation:
        """Where such a request would go, without sending it; a path alone means the shared gateway.

        `with_token` takes the service's own token, so that no 401 stands in the way of the rest; with
        `from_address` it is said whether the gateway lets clients of that IP address in.
        """
        request = pb.ExplainRouteRequest(
            url=url,
            method=method,
            headers=headers or {},
            with_token=with_token,
            from_address=from_address,
        )
        answer = await self._wire.call(self._stub.ExplainRoute, request, repeatable=True)
        return convert.explanation(answer.explanation)

    async def web_link(
        self, service: str, *, valid_for: timedelta | None = None, by_host: bool = False
    ) -> WebLink:
        """A link to the service's pages, for 5 minutes unless told; `by_host` at {service}.{domain}."""
        request = pb.CreateWebLinkRequest(
            service=service, valid_for=convert.length_to_proto(valid_for), by_host=by_host
        )
        answer = await self._wire.call(self._stub.CreateWebLink, request)
        return WebLink(answer.url, moment(answer, "expires_at"))
