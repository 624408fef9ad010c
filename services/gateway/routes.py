"""What a gateway knows of each service, and how an update changes it."""

from dataclasses import dataclass, field
from datetime import timedelta


@dataclass(frozen=True)
class Endpoint:
    """A ready instance, by the address at which it answers."""

    instance: str
    address: str
    port: int
    node: str = ""


@dataclass(frozen=True)
class Backend:
    """The ready instances of one version."""

    version: int
    endpoints: tuple[Endpoint, ...] = ()


@dataclass(frozen=True)
class Token:
    """What opens a service or a group; reports call it `id`."""

    value: str
    id: str = ""


@dataclass(frozen=True)
class Limits:
    """Bounds on requests, a second or in flight; 0 means none."""

    rate_per_instance: int = 0
    rate: int = 0
    concurrency: int = 0
    in_flight_per_instance: int = 0


@dataclass(frozen=True)
class Mirror:
    """A service that gets copies of requests. `ratio` is in percent, `compare_ppm` in millionths."""

    service: str
    ratio: int
    endpoints: tuple[Endpoint, ...] = ()
    grpc: bool = False
    keep_path: bool = False
    keepalive: timedelta = timedelta(seconds=5)
    compare_ppm: int = 0


@dataclass(frozen=True)
class DirectEndpoint:
    """Where clients that connect directly reach a service, and how many ready instances are there."""

    address: str
    port: int
    weight: int


@dataclass(frozen=True)
class TcpListener:
    """A port at which TCP is handed on to the direct endpoints of a service."""

    id: str
    port: int


@dataclass(frozen=True)
class Registration:
    """A registry that is to hold the direct endpoints of a service under `service_name`."""

    registry: str
    kind: str
    url: str
    service_name: str
    namespace: str = ""
    group: str = ""
    user: str = ""
    password: str = ""


@dataclass(frozen=True)
class Hold:
    """Requests that come while no instance is ready wait for one: so many, so many MiB, and for so long."""

    requests: int = 1000
    mib: int = 256
    within: timedelta = timedelta(minutes=5)


@dataclass(frozen=True)
class Service:
    """All that a gateway needs to know of one service."""

    name: str
    tokens: tuple[Token, ...] = ()
    # A request without an answer for this long is refused with 408; zero means no bound.
    keepalive: timedelta = timedelta(seconds=5)
    keep_path: bool = False
    grpc: bool = False
    backends: tuple[Backend, ...] = ()
    # It shows pages to browsers: links and cookies open it beside tokens.
    webservice: bool = False
    limits: Limits = Limits()
    mirrors: tuple[Mirror, ...] = ()
    direct: tuple[DirectEndpoint, ...] = ()
    tcp_listeners: tuple[TcpListener, ...] = ()
    registrations: tuple[Registration, ...] = ()
    group: str = ""
    # None where requests that come while no instance is ready are refused.
    hold: Hold | None = None

    @property
    def is_ready(self) -> bool:
        """Whether it has an instance that takes requests."""
        return any(backend.endpoints for backend in self.backends)

    @property
    def holds(self) -> bool:
        """Whether requests wait for an instance now."""
        return self.hold is not None and not self.is_ready


@dataclass(frozen=True)
class GroupMember:
    """Its share of a group's requests is its weight in the sum over members that have a ready instance."""

    service: str
    weight: int


@dataclass(frozen=True)
class MemberRule:
    """Requests that show a header or a cookie go to one member; an empty value stands for any."""

    service: str
    header: str = ""
    cookie: str = ""
    value: str = ""


@dataclass(frozen=True)
class Group:
    """Several services behind one entry: the first rule that fits decides, then stickiness, then weights."""

    name: str
    tokens: tuple[Token, ...] = ()
    members: tuple[GroupMember, ...] = ()
    rules: tuple[MemberRule, ...] = ()
    sticky_header: str = ""
    sticky_cookie: str = ""

    @property
    def leads_to(self) -> frozenset[str]:
        """The services that may get requests of the group."""
        return frozenset(each.service for each in self.members) | {each.service for each in self.rules}


@dataclass(frozen=True)
class Domain:
    """A host name of the gateway, with its certificate and key as PEM or as files; without both, no TLS."""

    name: str
    certificate: str = ""
    key: str = field(default="", repr=False)
    certificate_file: str = ""
    key_file: str = ""


@dataclass(frozen=True)
class EdgeSettings:
    """What an operator set for one gateway; 0 and empty mean the default."""

    tls_port: int = 0
    domains: tuple[Domain, ...] = ()
    redirect_https: bool = False
    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    body_limit_bytes: int = 0
    no_body_limit: bool = False
    max_connections: int = 0
    upstream_ca: str = ""
    upstream_certificate: str = ""
    upstream_key: str = field(default="", repr=False)


@dataclass(frozen=True)
class HostedGateway:
    """A further gateway of which this process runs the Envoy."""

    name: str
    port: int
    workers: int = 0
    public_url: str = ""


@dataclass(frozen=True)
class Update:
    """A change to what a gateway must serve; `full` means that nothing else remains.

    `settings` and `hosted` are None where they did not change.
    """

    generation: int
    full: bool
    services: tuple[Service, ...] = ()
    removed: tuple[str, ...] = ()
    groups: tuple[Group, ...] = ()
    removed_groups: tuple[str, ...] = ()
    settings: EdgeSettings | None = None
    hosted: tuple[HostedGateway, ...] | None = None
