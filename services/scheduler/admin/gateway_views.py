"""Gateways and registries as the admin API shows them, and as it takes them in."""

from datetime import datetime

from easel.admin.v1 import admin_pb2
from libs.domain.traffic import SHARED_GATEWAY, Gateway, GatewayDomain, Registry
from libs.rpc.convert import time_to_proto
from services.scheduler.gateways.rules import gateway_of
from services.scheduler.gateways.standing import standing
from services.scheduler.routes.gateways import Gateways
from services.scheduler.routes.table import RoutesTable
from services.scheduler.world import World


class GatewayViews:
    """What is set for gateways, with what their processes say."""

    def __init__(self, world: World, gateways: Gateways, table: RoutesTable) -> None:
        self._world, self._gateways, self._table = world, gateways, table

    def names(self, with_nodes: bool) -> set[str]:
        """The shared one, those with a record, and those that have dialled in."""
        there = {link.name for link in self._gateways.all_linked() if with_nodes or not link.node}
        return there | set(self._world.gateways) | {SHARED_GATEWAY}

    def of(self, name: str, now: datetime) -> admin_pb2.Gateway:
        """Raises NotFound."""
        links = self._gateways.named(name)
        node = next((link.node for link in links), "")
        record = self._world.gateways.get(name)
        if record is None and not links:
            record = gateway_of(self._world, name, now)
        view = _shown(record) if record is not None else admin_pb2.Gateway(name=name)
        view.shared = name == SHARED_GATEWAY
        view.public_url = view.public_url or self._gateways.public_url(name) or ""
        stands = standing(name, self._world.gateways.get(name), links)
        view.connected, view.envoys, view.why = stands.connected, stands.envoys, stands.why
        view.node = node
        view.services = len(self._table.audience(name, node).services)
        view.certificates.extend(each for link in links[:1] for each in link.certificates)
        return view


def gateway_from_proto(message: admin_pb2.Gateway, now: datetime) -> Gateway:
    """What is set; what its process says is left out."""
    return Gateway(
        name=message.name,
        created_at=now,
        updated_at=now,
        host=message.host,
        port=message.port,
        tls_port=message.tls_port,
        workers=message.workers,
        public_url=message.public_url,
        domains=tuple(
            GatewayDomain(each.name, each.secret, each.certificate_file, each.key_file)
            for each in message.domains
        ),
        redirect_https=message.redirect_https,
        allow=tuple(message.allow),
        deny=tuple(message.deny),
        body_limit_bytes=message.body_limit_bytes,
        keepalive_ms=message.keepalive_ms,
        max_connections=message.max_connections,
        upstream_tls_secret=message.upstream_tls_secret,
    )


def registry_from_proto(message: admin_pb2.Registry, now: datetime) -> Registry:
    return Registry(
        id=message.id,
        kind=message.kind,
        url=message.url,
        created_at=now,
        namespace=message.namespace,
        group=message.group,
        secret=message.secret,
    )


def registry_view(registry: Registry, used_by: list[str]) -> admin_pb2.Registry:
    return admin_pb2.Registry(
        id=registry.id,
        kind=registry.kind,
        url=registry.url,
        namespace=registry.namespace,
        group=registry.group,
        secret=registry.secret,
        created_at=time_to_proto(registry.created_at),
        used_by=used_by,
    )


def _shown(record: Gateway) -> admin_pb2.Gateway:
    return admin_pb2.Gateway(
        name=record.name,
        host=record.host,
        port=record.port,
        tls_port=record.tls_port,
        workers=record.workers,
        public_url=record.public_url,
        domains=[
            admin_pb2.GatewayDomain(
                name=each.name,
                secret=each.secret,
                certificate_file=each.certificate_file,
                key_file=each.key_file,
            )
            for each in record.domains
        ],
        redirect_https=record.redirect_https,
        allow=record.allow,
        deny=record.deny,
        body_limit_bytes=record.body_limit_bytes,
        keepalive_ms=record.keepalive_ms,
        max_connections=record.max_connections,
        upstream_tls_secret=record.upstream_tls_secret,
        created_at=time_to_proto(record.created_at) if record.revision else None,
        updated_at=time_to_proto(record.updated_at) if record.revision else None,
    )
