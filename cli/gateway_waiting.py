"""Waiting until a gateway does what was asked of it, and saying what it does not do."""

import asyncio
import time
from typing import TYPE_CHECKING

from cli.gateway_views import gateway_state
from easel_sdk.types import Gateway

if TYPE_CHECKING:
    from easel_sdk import AsyncEasel

_LOOK_EVERY = 0.25
# What was asked reaches its process within this time; what it said before is no answer to it.
_ON_ITS_WAY = 0.75
# Whoever says the same for so long is not about to start.
_STEADY = 3.0


async def settled(easel: "AsyncEasel", gateway: Gateway, patience: float) -> Gateway:
    """The gateway once it serves all that is set, or as it stands when there is no more to wait for.

    A process of its own that has not dialled in is not waited for: an operator starts it.
    """
    began = since = time.monotonic()
    said, least = "", _ON_ITS_WAY if gateway.connected else 0.0
    while patience > 0 and not awaits_operator(gateway):
        await asyncio.sleep(_LOOK_EVERY)
        gateway = await easel.gateways.get(gateway.name)
        now = time.monotonic()
        says = gateway.why if gateway.connected else ""
        if says != said:
            said, since = says, now
        done = gateway_state(gateway) == "Ready" and now - began >= least
        if done or now - began >= patience or (said and now - since >= _STEADY):
            break
    return gateway


def awaits_operator(gateway: Gateway) -> bool:
    """Whether its process is one that an operator has yet to start."""
    return not (gateway.connected or gateway.host or gateway.shared)


def without_certificate(gateway: Gateway) -> str:
    """Why its port with TLS stays closed, where that follows from its settings; else empty."""
    if not gateway.tls_port or any(each.secret or each.certificate_file for each in gateway.domains):
        return ""
    return (
        f"port {gateway.tls_port} opens once a domain has a certificate: "
        f"`easel gateway set {gateway.name} --domain NAME=secret:SECRET`"
    )


def failing(gateway: Gateway) -> str:
    """What it does not do of what was asked; empty when it serves, or when nobody has started it yet."""
    if gateway_state(gateway) == "Ready" or awaits_operator(gateway):
        return ""
    troubled = gateway.connected and gateway.envoys
    word = "does not do all that is set" if troubled else "takes no requests yet"
    return f"{gateway.name} {word}: {gateway.why or 'it does not say why'}"
