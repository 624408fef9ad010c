"""Gateways, what opens services to callers, and where else they are found, as plain frozen values.

They are all in `easel_sdk.types` too.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypedDict

from libs.domain.traffic import GatewayDomain


@dataclass(frozen=True)
class AccessToken:
    """Opens a service or a group (one of the two) to its callers. `expires_at` is None for never."""

    id: str
    service: str
    group: str
    name: str
    created_at: datetime | None
    expires_at: datetime | None
    # To about a minute; None before the first use.
    last_used_at: datetime | None


@dataclass(frozen=True)
class NewAccessToken:
    """An access token with its value; after a rotation, `before` is the one it takes the place of."""

    token: AccessToken
    value: str = field(repr=False)
    before: AccessToken | None = None


@dataclass(frozen=True)
class WebLink:
    """A link that opens a service's pages in a browser until `expires_at`. Whoever has it may open it."""

    url: str = field(repr=False)
    expires_at: datetime | None


@dataclass(frozen=True)
class CertificateStatus:
    """A domain's certificate: until when it is valid, and why it is not in force where it is not."""

    domain: str
    not_after: datetime | None
    why: str


class GatewaySettings(TypedDict, total=False):
    """What may be set for a gateway, named as in `Gateway`. What is left out takes the default, or stays."""

    host: str
    port: int
    tls_port: int
    workers: int
    public_url: str
    domains: tuple[GatewayDomain, ...]
    redirect_https: bool
    allow: tuple[str, ...]
    deny: tuple[str, ...]
    body_limit_bytes: int
    keepalive: timedelta
    max_connections: int
    upstream_tls_secret: str


@dataclass(frozen=True)
class Gateway:
    """What carries requests in. 0 stands for the default; a body limit of -1 is none.

    `host` is the gateway whose process runs its Envoy; empty when a process of its own dials in.
    """

    name: str
    shared: bool
    host: str
    port: int
    tls_port: int
    # Worker threads of its Envoy; 0 for one a core.
    workers: int
    public_url: str
    domains: tuple[GatewayDomain, ...]
    redirect_https: bool
    # Networks in CIDR; an empty `allow` is everyone.
    allow: tuple[str, ...]
    deny: tuple[str, ...]
    body_limit_bytes: int
    # What services get that name none; 0 for the default.
    keepalive: timedelta
    max_connections: int
    # The secret with ca, certificate and key for TLS toward instances; empty for none.
    upstream_tls_secret: str
    created_at: datetime | None
    updated_at: datetime | None
    connected: bool
    envoys: int
    why: str
    services: int
    certificates: tuple[CertificateStatus, ...]
    # Set for the gateway of one node.
    node: str


@dataclass(frozen=True)
class Registry:
    """Where instances are written for clients that look them up themselves. `kind` is "nacos"."""

    id: str
    kind: str
    url: str
    namespace: str
    group: str
    # The secret with `user` and `password`; empty for none.
    secret: str
    created_at: datetime | None
    used_by: tuple[str, ...]


@dataclass(frozen=True)
class DirectEndpoint:
    """Where clients that connect directly reach a service, and how often the place is chosen."""

    address: str
    port: int
    weight: int
