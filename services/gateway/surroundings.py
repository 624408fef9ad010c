"""What the settings of a gateway come to: its listeners, and the domains under which services have names."""

from collections.abc import Callable
from dataclasses import replace
from urllib.parse import urlsplit

from libs.domain.traffic import SHARED_GATEWAY
from libs.rpc.addresses import host_and_port
from services.gateway.key_pairs import KeyPairs
from services.gateway.publisher import Surroundings
from services.gateway.routes import EdgeSettings
from services.gateway.settings import Settings
from services.gateway.sockets import front_address
from services.gateway.xds.edge import Edge, KeyPair
from services.gateway.xds.front import front_resources
from services.gateway.xds.listener import edge_resources

# Bodies that a gateway of many services takes, unless an operator says otherwise.
SHARED_BODY_LIMIT = 1024 * 1024


def surroundings_of(settings: Settings, key_pairs: KeyPairs) -> Callable[[EdgeSettings], Surroundings]:
    """Gives what an operator's settings come to on this gateway; computed only when something differs."""
    known: dict[tuple[EdgeSettings, tuple[tuple[str, KeyPair], ...]], Surroundings] = {}
    front, asking = front_address(settings), asking_token(settings)

    def surroundings(edge_settings: EdgeSettings) -> Surroundings:
        pairs = key_pairs.of(edge_settings.domains)
        key = (edge_settings, tuple(pairs.items()))
        if key not in known:
            known.clear()
            edge = replace(edge_of(settings, edge_settings), key_pairs=pairs)
            resources = (*edge_resources(edge), *front_resources(front))
            domains = domains_of(settings, edge_settings)
            known[key] = Surroundings(resources, domains, replace(edge.reach, token=asking), edge.arrival)
        return known[key]

    return surroundings


def edge_of(settings: Settings, edge_settings: EdgeSettings | None = None) -> Edge:
    """What the listeners depend on, without certificates."""
    edge_settings = edge_settings or EdgeSettings()
    host, port = host_and_port(settings.listen, "listen")
    return Edge(
        host,
        port,
        settings.domain,
        bool(settings.otlp_endpoint),
        str(settings.access_log.resolve()) if settings.access_log else "",
        settings=edge_settings,
        body_limit=body_limit(settings, edge_settings),
        request_within=settings.request_within,
        trace_percent=settings.trace_percent,
    )


def asking_token(settings: Settings) -> str:
    """What Envoys show when they ask this gateway: nothing at a socket of this machine."""
    return "" if settings.xds_listen.startswith("unix:") or not settings.xds_listen else settings.token()


def body_limit(settings: Settings, edge_settings: EdgeSettings) -> int:
    """The longest body in bytes, 0 for any: what was set for the gateway, else what its process was given."""
    if edge_settings.no_body_limit:
        return 0
    if edge_settings.body_limit_bytes:
        return edge_settings.body_limit_bytes
    if settings.body_limit_bytes is not None:
        return settings.body_limit_bytes
    return SHARED_BODY_LIMIT if settings.name == SHARED_GATEWAY else 0


def domains_of(settings: Settings, edge_settings: EdgeSettings) -> tuple[str, ...]:
    """Each domain alone, and with each port that clients may write behind it."""
    ports = [
        host_and_port(settings.listen, "listen")[1],
        urlsplit(settings.public_url).port,
        host_and_port(settings.direct(), "direct_address")[1],
        edge_settings.tls_port,
    ]
    names = dict.fromkeys((settings.domain, *(each.name for each in edge_settings.domains)))
    forms = dict.fromkeys(f":{port}" for port in ports if port)
    return tuple(f"{name}{form}" for name in names for form in ("", *forms))
