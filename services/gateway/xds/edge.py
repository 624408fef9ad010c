"""What the listeners of a gateway depend on."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from services.gateway.routes import EdgeSettings
from services.gateway.routing.arrival import Arrival


@dataclass(frozen=True)
class KeyPair:
    """A certificate with those that sign it, and its key, as PEM."""

    certificate: str
    key: str = field(repr=False)


@dataclass(frozen=True)
class Edge:
    """Where clients come in, and what is asked of them."""

    host: str
    port: int
    domain: str
    traces: bool = False
    access_log: str = ""
    settings: EdgeSettings = field(default_factory=EdgeSettings)
    # The pair in force for each domain that has one.
    key_pairs: Mapping[str, KeyPair] = field(default_factory=dict)
    # The longest body of a request, in bytes; 0 for any.
    body_limit: int = 0
    # How many of a hundred requests get a span, unless their client decided.
    trace_percent: float = 100.0
    # Until a request must be there as a whole, unless its answer has begun; zero for no bound.
    request_within: timedelta = timedelta(0)

    @property
    def tls(self) -> bool:
        """Whether there is a port with TLS, which takes a certificate too."""
        return bool(self.settings.tls_port and self.key_pairs)

    @property
    def arrival(self) -> Arrival:
        """What is asked of every request, whichever service it is for."""
        settings = self.settings
        port = settings.tls_port if settings.redirect_https and self.tls else 0
        return Arrival(settings.allow, settings.deny, port, self.body_limit, ":" in self.host)

    @property
    def reach(self) -> "Reach":
        """What of it the resources of services show."""
        settings = self.settings
        return Reach(
            self.host,
            settings.allow,
            settings.deny,
            bool(settings.upstream_ca),
            bool(settings.upstream_ca and settings.upstream_certificate),
        )


@dataclass(frozen=True)
class Reach:
    """Where ports of services open and to whom, and how the gateway speaks to instances."""

    host: str = "127.0.0.1"
    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    # TLS toward instances, and whether the gateway shows a certificate of its own to them.
    tls: bool = False
    shows_certificate: bool = False
    # What opens the gateway process to Envoys that ask it; empty where that is at a socket of this machine.
    token: str = field(default="", repr=False)


NO_REACH = Reach()
