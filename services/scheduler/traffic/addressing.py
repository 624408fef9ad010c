"""Which gateway an address leads to, and whose token opens what is there. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import unquote, urlsplit

from libs.domain.errors import InvalidRequest
from libs.domain.traffic import SHARED_GATEWAY
from services.scheduler.world import World

_PREFIX = "/api/predict/"
_ENTRY_HEADER = "x-easel-service"
_SHOWN = 10


@dataclass(frozen=True)
class Reached:
    """Where one gateway is reached: authorities, and domains below which each service has a host."""

    gateway: str
    authorities: tuple[str, ...] = ()
    domains: tuple[str, ...] = ()


@dataclass(frozen=True)
class Addressed:
    """A gateway, what a request to it would show of the URL, and the entry that it names, if any.

    `scheme` is empty where a path alone was given.
    """

    gateway: str
    authority: str
    path: str
    entry: str = ""
    scheme: str = ""


def addressed(
    world: World, url: str, headers: Iterable[tuple[str, str]], known: Iterable[Reached]
) -> Addressed:
    """A path alone leads to the gateway of what it names. Raises InvalidRequest."""
    scheme, host, path = _parts(url)
    named = next((value for key, value in headers if key.lower() == _ENTRY_HEADER), "")
    entry = _entry_in(path) or named
    if not host:
        gateway = gateway_of_entry(world, entry)
        own = next((a for each in known if each.gateway == gateway for a in each.authorities), "")
        return Addressed(gateway, own, path, entry)
    known = list(known)
    for each in known:
        if _with_port(scheme, host) in {_with_port(scheme, a) for a in each.authorities}:
            return Addressed(each.gateway, host, path, entry, scheme)
    name = host.rpartition(":")[0] if _has_port(host) else host
    for each in known:
        for domain in each.domains:
            if name == domain:
                return Addressed(each.gateway, host, path, entry, scheme)
            if name.endswith(f".{domain}"):
                return Addressed(each.gateway, host, path, name.removesuffix(f".{domain}"), scheme)
    there = list(dict.fromkeys(a for each in known for a in (*each.authorities, *each.domains)))
    raise InvalidRequest(
        "url", url, f"an address of a gateway ({', '.join(there[:_SHOWN]) or 'none is known'})"
    )


def gateway_of_entry(world: World, entry: str) -> str:
    """The gateway that a service or a group is on; the shared one for what is neither."""
    if entry in world.services:
        return world.services[entry].gateway
    return world.groups[entry.partition(".")[0]].gateway if _is_there(world, entry) else SHARED_GATEWAY


def elsewhere(world: World, at: Addressed) -> str:
    """Where what is asked for is, in a sentence; empty where it is here, or nowhere."""
    gateway = gateway_of_entry(world, at.entry)
    if gateway == at.gateway or not _is_there(world, at.entry):
        return ""
    kind = "service" if at.entry in world.services else "group"
    name = at.entry if kind == "service" else at.entry.partition(".")[0]
    return f"{kind} {name!r} is on gateway {gateway!r}, not on this one"


def client_address(text: str) -> str:
    """As gateways see the address of an IPv4 or IPv6 client; empty stays so. Raises InvalidRequest."""
    if not text:
        return ""
    try:
        address = ip_address(text)
    except ValueError:
        raise InvalidRequest("from_address", text, "an IP address such as 10.0.0.7") from None
    return str(getattr(address, "ipv4_mapped", None) or address)


def token_of_entry(world: World, entry: str) -> str:
    """The first token of what an entry names; empty for what is not there."""
    if entry in world.services:
        return world.services[entry].token
    group, _, member = entry.partition(".")
    if member in world.services and world.services[member].group == group:
        return world.services[member].token
    return world.groups[group].token if group in world.groups and not member else ""


def _is_there(world: World, entry: str) -> bool:
    group, _, member = entry.partition(".")
    return entry in world.services or (group in world.groups and (not member or member in world.services))


def _parts(url: str) -> tuple[str, str, str]:
    expected = "a URL such as http://127.0.0.1:8800/api/predict/NAME, or a path"
    try:
        parts = urlsplit(url)
    except ValueError:
        raise InvalidRequest("url", url, expected) from None
    if parts.scheme not in ("", "http", "https") or bool(parts.scheme) != bool(parts.netloc):
        raise InvalidRequest("url", url, expected)
    if not parts.netloc and not parts.path.startswith("/"):
        raise InvalidRequest("url", url, expected)
    query = f"?{parts.query}" if parts.query else ""
    return parts.scheme, parts.netloc.rpartition("@")[2].lower(), f"{parts.path or '/'}{query}"


def _entry_in(path: str) -> str:
    if not path.startswith(_PREFIX):
        return ""
    return unquote(path.removeprefix(_PREFIX).partition("?")[0].partition("/")[0])


def _has_port(host: str) -> bool:
    return host.rpartition(":")[2].isdigit() and not host.endswith("]")


def _with_port(scheme: str, host: str) -> str:
    return host if _has_port(host) else f"{host}:{443 if scheme == 'https' else 80}"
