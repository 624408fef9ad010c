"""Which networks may call: a rule for requests, which are told why, and ranges for connections of TCP."""

from ipaddress import IPv4Network, IPv6Network, collapse_addresses, ip_network
from typing import Any

from envoy.config.core.v3.address_pb2 import CidrRange
from envoy.config.rbac.v3.rbac_pb2 import RBAC, Permission, Policy, Principal
from google.protobuf.wrappers_pb2 import UInt32Value

_Network = IPv4Network | IPv6Network
_EVERYBODY = ("0.0.0.0/0", "::/0")
# Nobody calls from this address.
_NOBODY = IPv4Network("255.255.255.255/32")


def turned_away(allow: tuple[str, ...], deny: tuple[str, ...]) -> Any:
    """Those whom `deny` names, and all whom `allow` does not, where it names any. None where neither does."""
    if not allow and not deny:
        return None
    away = [_calls_from(each) for each in deny]
    if allow:
        welcome = Principal(or_ids=Principal.Set(ids=[_calls_from(each) for each in allow]))
        away.append(Principal(not_id=welcome))
    policy = Policy(permissions=[Permission(any=True)], principals=away)
    return RBAC(action=RBAC.Action.DENY, policies={"networks": policy})


def let_in(allow: tuple[str, ...], deny: tuple[str, ...]) -> list[Any]:
    """The ranges of `allow`, or of all addresses, without those of `deny`. None where both are empty."""
    if not allow and not deny:
        return []
    remain = [ip_network(each, strict=False) for each in allow or _EVERYBODY]
    for each in deny:
        remain = [piece for whole in remain for piece in _without(whole, ip_network(each, strict=False))]
    fours = collapse_addresses(each for each in remain if isinstance(each, IPv4Network))
    sixes = collapse_addresses(each for each in remain if isinstance(each, IPv6Network))
    ranges: list[_Network] = [*fours, *sixes]
    return [_range(each) for each in ranges or [_NOBODY]]


def _without(whole: _Network, part: _Network) -> list[_Network]:
    if isinstance(whole, IPv4Network) and isinstance(part, IPv4Network):
        return _pieces(whole, part)
    if isinstance(whole, IPv6Network) and isinstance(part, IPv6Network):
        return _pieces(whole, part)
    return [whole]


def _pieces(whole: Any, part: Any) -> list[_Network]:
    if whole.subnet_of(part):
        return []
    return list(whole.address_exclude(part)) if part.subnet_of(whole) else [whole]


def _calls_from(cidr: str) -> Any:
    """By the address of the connection, which no header of a request can change."""
    return Principal(direct_remote_ip=_range(ip_network(cidr, strict=False)))


def _range(network: _Network) -> Any:
    return CidrRange(
        address_prefix=str(network.network_address), prefix_len=UInt32Value(value=network.prefixlen)
    )
