"""A resource as Envoy receives it, with a version that is its content."""

import hashlib
from dataclasses import dataclass
from typing import Any

CLUSTER = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
ENDPOINTS = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"
LISTENER = "type.googleapis.com/envoy.config.listener.v3.Listener"
SECRET = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"  # noqa: S105
SCOPE = "type.googleapis.com/envoy.config.route.v3.ScopedRouteConfiguration"

# The order in which an addition is sent; a removal goes the other way.
TYPES = (SECRET, CLUSTER, ENDPOINTS, LISTENER, SCOPE)


@dataclass(frozen=True)
class Key:
    """What names a resource."""

    type_url: str
    name: str


@dataclass(frozen=True)
class Resource:
    """One resource. `needs` names the clusters that must be in force before it may be sent.

    Where an Envoy has an earlier one, it keeps that until it has what there is under the keys of `after`.
    """

    key: Key
    body: bytes
    version: str
    needs: tuple[str, ...] = ()
    after: tuple[Key, ...] = ()


def resource(type_url: str, name: str, message: Any, needs: tuple[str, ...] = ()) -> Resource:
    """Wraps an Envoy message; equal messages have equal versions, in this process and the next."""
    body = message.SerializeToString(deterministic=True)
    return Resource(Key(type_url, name), body, hashlib.blake2b(body, digest_size=8).hexdigest(), needs)
