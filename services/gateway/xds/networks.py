"""Which networks may call: a rule for requests, which are told why, and ranges for connections of TCP."""

from ipaddress import IPv4Network, ip_network
from typing import Any

from envoy.config.core.v3.address_pb2 import CidrRange
from envoy.config.rbac.v3.rbac_pb2 import RBAC, Permission, Policy, Principal
from google.protobuf.wrappers_pb2 import UInt32Value

from services.gateway.routing import arrival as routing

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
    return [_range(each) for each in routing.let_in(allow, deny) or [_NOBODY]]


def _calls_from(cidr: str) -> Any:
    """By the address of the connection, which no header of a request can change."""
    return Principal(direct_remote_ip=_range(ip_network(cidr, strict=False)))


def _range(network: routing.Network) -> Any:
    return CidrRange(
        address_prefix=str(network.network_address), prefix_len=UInt32Value(value=network.prefixlen)
    )
