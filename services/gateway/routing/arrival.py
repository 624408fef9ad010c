"""What a gateway asks of every request before it looks at what it is for.

The listeners are built from this, and explanations follow it for one request.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from ipaddress import IPv4Network, IPv6Network, collapse_addresses, ip_address, ip_network
from typing import Any

from services.gateway.routing.replies import TOO_LONG, Reply

Network = IPv4Network | IPv6Network
EVERYBODY = ("0.0.0.0/0", "::/0")
MOVED = 308
_SHOWN = 8


@dataclass(frozen=True)
class Arrival:
    """Which networks may call, where plain requests are sent on to, and how long a body may be.

    Zero is no port and no limit; an empty `allow` is everybody. Only with `ipv6` clients of such
    addresses can come in at all.
    """

    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    redirect_port: int = 0
    body_limit: int = 0
    ipv6: bool = False

    @property
    def admits_nobody(self) -> bool:
        """Whether the lists leave no client that is let in."""
        return not any(self.ipv6 or network.version == 4 for network in self._welcome)

    def admits(self, address: str) -> bool:
        """Whether a client of this IP address is let in."""
        client = ip_address(address)
        return any(client in network for network in self._welcome)

    @property
    def lists(self) -> str:
        """Which lists there are, in words; empty without any."""
        named = (("allowed", self.allow), ("denied", self.deny))
        return "; ".join(f"{word}: {_some(networks)}" for word, networks in named if networks)

    def rules(self, grpc: bool) -> tuple[str, ...]:
        """One sentence for each limit. gRPC has bounds of its own in place of that on bodies."""
        if not self.body_limit or grpc:
            return ()
        return (f"the gateway's body limit: {TOO_LONG.status} above {size_text(self.body_limit)}",)

    @cached_property
    def _welcome(self) -> tuple[Network, ...]:
        return let_in(self.allow, self.deny)


OPEN = Arrival()


def let_in(allow: tuple[str, ...], deny: tuple[str, ...]) -> tuple[Network, ...]:
    """The networks of `allow`, or all, without those of `deny`."""
    remain = [ip_network(each, strict=False) for each in allow or EVERYBODY]
    for each in deny:
        remain = [piece for whole in remain for piece in _without(whole, ip_network(each, strict=False))]
    fours = collapse_addresses(each for each in remain if isinstance(each, IPv4Network))
    sixes = collapse_addresses(each for each in remain if isinstance(each, IPv6Network))
    return (*fours, *sixes)


def too_long(body_limit: int) -> Reply:
    """What is told to a request whose body is longer."""
    return Reply(TOO_LONG.status, f"{TOO_LONG.sentence}: {size_text(body_limit)}")


def size_text(size: int) -> str:
    """In the largest binary unit that is whole."""
    for power, unit in ((3, "GiB"), (2, "MiB"), (1, "KiB")):
        if size and size % 1024**power == 0:
            return f"{size // 1024**power} {unit}"
    return f"{size} bytes"


def _without(whole: Network, part: Network) -> list[Network]:
    if isinstance(whole, IPv4Network) and isinstance(part, IPv4Network):
        return _pieces(whole, part)
    if isinstance(whole, IPv6Network) and isinstance(part, IPv6Network):
        return _pieces(whole, part)
    return [whole]


def _pieces(whole: Any, part: Any) -> list[Network]:
    if whole.subnet_of(part):
        return []
    return list(whole.address_exclude(part)) if part.subnet_of(whole) else [whole]


def _some(networks: Iterable[str]) -> str:
    named = list(networks)
    more = f" and {len(named) - _SHOWN} more" if len(named) > _SHOWN else ""
    return ", ".join(named[:_SHOWN]) + more
