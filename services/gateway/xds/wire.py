"""Small pieces that every builder of Envoy messages uses."""

import socket as stdlib_socket
from datetime import timedelta
from typing import Any

from envoy.config.core.v3.address_pb2 import Address, Pipe, SocketAddress
from envoy.config.core.v3.base_pb2 import HeaderValue
from envoy.config.core.v3.config_source_pb2 import AggregatedConfigSource, ApiVersion, ConfigSource
from envoy.config.core.v3.socket_option_pb2 import SocketOption
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration

from libs.rpc.addresses import host_and_port

# Where an Envoy finds its gateway; it is started with it.
ADS_CLUSTER = "easel_ads"


def packed(message: Any) -> AnyMessage:
    """The message as a typed configuration; equal messages give equal bytes."""
    wrapped = AnyMessage()
    wrapped.Pack(message, deterministic=True)
    return wrapped


def span(length: timedelta) -> Duration:
    """A length of time as Envoy writes it."""
    duration = Duration()
    duration.FromTimedelta(length)
    return duration


def milliseconds(count: int) -> Duration:
    """A length of time in milliseconds."""
    return span(timedelta(milliseconds=count))


def socket(host: str, port: int) -> Address:
    """A TCP address."""
    return Address(socket_address=SocketAddress(address=host, port_value=port))


def address_of(text: str) -> Address:
    """An address written as "host:port" or "unix:/path"."""
    if text.startswith("unix:"):
        return Address(pipe=Pipe(path=text.removeprefix("unix:")))
    return socket(*host_and_port(text, "address"))


def bearer(token: str) -> list[HeaderValue]:
    """What opens a gRPC service of Easel's; nothing where no token is needed."""
    return [HeaderValue(key="authorization", value=f"Bearer {token}")] if token else []


def from_ads() -> ConfigSource:
    """Configuration that comes over the one stream, and is waited for however long that takes."""
    return ConfigSource(
        ads=AggregatedConfigSource(),
        resource_api_version=ApiVersion.V3,
        initial_fetch_timeout=milliseconds(0),
    )


def vanished_peers_are_noticed() -> list[Any]:
    """TCP keep-alive after a minute of silence, three times ten seconds apart."""
    options = (
        (stdlib_socket.SOL_SOCKET, stdlib_socket.SO_KEEPALIVE, 1),
        (stdlib_socket.IPPROTO_TCP, stdlib_socket.TCP_KEEPIDLE, 60),
        (stdlib_socket.IPPROTO_TCP, stdlib_socket.TCP_KEEPINTVL, 10),
        (stdlib_socket.IPPROTO_TCP, stdlib_socket.TCP_KEEPCNT, 3),
    )
    return [SocketOption(level=level, name=name, int_value=value) for level, name, value in options]
