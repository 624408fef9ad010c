"""Where something is reached."""

from typing import NamedTuple
from urllib.parse import urlsplit


class Address(NamedTuple):
    """A host, by name or number, and a port."""

    host: str
    port: int


def address_of(url: str) -> Address | None:
    """Host and port of a URL; None where it has none."""
    try:
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        return None
    return Address(parts.hostname, port) if parts.hostname else None
