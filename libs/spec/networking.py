"""`networking`: how requests reach the service beyond its own address, and how many may."""

from typing import Annotated

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from libs.spec.scalars import Flag, OptionalText, choice, matching, whole
from libs.spec.section import Section


class RateLimit(Section):
    """Requests a second for the service as a whole."""

    enable: Flag = False
    limit: Annotated[int, whole(1, 1_000_000_000, "requests a second")] | None = None


class ConcurrencyLimit(Section):
    """Requests in flight for the service as a whole."""

    enable: Flag = False
    limit: Annotated[int, whole(1, 1_000_000_000, "requests in flight")] | None = None


def _switched(value: object) -> object:
    """A bare number is what is written most often in place of the object."""
    if isinstance(value, dict | Section):
        return value
    raise PydanticCustomError("expected", "{words}", {"words": 'an object, {"enable": true, "limit": N}'})


class GatewayPolicy(Section):
    """`networking.gateway_policy`."""

    rate_limit: Annotated[RateLimit, BeforeValidator(_switched)] = RateLimit()
    concurrency_limit: Annotated[ConcurrencyLimit, BeforeValidator(_switched)] = ConcurrencyLimit()


class Nlb(Section):
    """A network load balancer in front of the service: one of its own (`default`) or a named one."""

    id: Annotated[str, matching(r"default|nlb-\S+", '"default" or the id of a load balancer, nlb-…')]
    listener_port: Annotated[int, whole(1, 65535, "other than 8080, which is reserved", without=(8080,))]
    net_type: Annotated[str, choice("intranet", "internet")] = Field(default="intranet", alias="netType")


class Nacos(Section):
    """A registry that instances are written to. `id` is the older spelling of `nacos_id`."""

    nacos_id: OptionalText = None
    id: OptionalText = None


class Networking(Section):
    """`networking`."""

    gateway: OptionalText = None
    gateway_policy: GatewayPolicy = GatewayPolicy()
    nlb: tuple[Nlb, ...] = ()
    nacos: tuple[Nacos, ...] = ()
