"""Where the unix sockets of a gateway are."""

from libs.rpc.sockets import socket_address
from services.gateway.settings import Settings

__all__ = ["front_address", "socket_address"]


def front_address(settings: Settings) -> str:
    """Where Envoys find what the gateway process answers by itself: "unix:/path" or "host:port"."""
    return settings.front_listen or socket_address(settings.data_dir, "front.sock")
