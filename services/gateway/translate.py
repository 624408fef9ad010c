"""The routes feed's messages as domain values. Protos of the feed stop here."""

from collections.abc import Iterable
from datetime import timedelta
from itertools import zip_longest

from easel.gateway.v1 import gateway_pb2 as pb
from services.gateway.condition import Condition
from services.gateway.routes import (
    Backend,
    DirectEndpoint,
    Domain,
    EdgeSettings,
    Endpoint,
    Group,
    GroupMember,
    Hold,
    HostedGateway,
    Limits,
    MemberRule,
    Mirror,
    Registration,
    Service,
    TcpListener,
    Token,
    Update,
)


def update_from_proto(message: pb.RoutesUpdate) -> Update:
    """One update of the feed."""
    return Update(
        generation=message.generation,
        full=message.full,
        services=tuple(service_from_proto(each) for each in message.services),
        removed=tuple(message.removed),
        groups=tuple(group_from_proto(each) for each in message.groups),
        removed_groups=tuple(message.removed_groups),
        settings=settings_from_proto(message.settings) if message.HasField("settings") else None,
        hosted=_hosted(message.hosted) if message.HasField("hosted") else None,
    )


def service_from_proto(message: pb.ServiceRoute) -> Service:
    """One service of the feed, its backends in the order of their versions."""
    limits = message.limits
    return Service(
        name=message.name,
        tokens=_tokens(message.tokens, message.token_ids),
        keepalive=timedelta(milliseconds=message.keepalive_ms),
        keep_path=message.keep_path,
        grpc=message.grpc,
        backends=tuple(
            Backend(backend.version, _endpoints(backend.endpoints))
            for backend in sorted(message.backends, key=lambda each: each.version)
        ),
        webservice=message.webservice,
        limits=Limits(
            rate_per_instance=limits.rate_per_instance,
            rate=limits.rate,
            concurrency=limits.concurrency,
            in_flight_per_instance=limits.in_flight_per_instance,
        ),
        mirrors=tuple(
            Mirror(
                service=each.service,
                ratio=each.ratio,
                endpoints=_endpoints(each.endpoints),
                grpc=each.grpc,
                keep_path=each.keep_path,
                keepalive=timedelta(milliseconds=each.keepalive_ms),
                compare_ppm=each.compare_ppm,
            )
            for each in message.mirrors
        ),
        direct=tuple(DirectEndpoint(each.address, each.port, each.weight) for each in message.direct),
        tcp_listeners=tuple(TcpListener(each.id, each.port) for each in message.tcp_listeners),
        registrations=tuple(
            Registration(
                registry=each.registry,
                kind=each.kind,
                url=each.url,
                service_name=each.service_name,
                namespace=each.namespace,
                group=each.group,
                user=each.user,
                password=each.password,
            )
            for each in message.registrations
        ),
        group=message.group,
        hold=_hold(message.hold) if message.HasField("hold") else None,
    )


def group_from_proto(message: pb.GroupRoute) -> Group:
    """One group of the feed."""
    return Group(
        name=message.name,
        tokens=_tokens(message.tokens, message.token_ids),
        members=tuple(GroupMember(each.service, each.weight) for each in message.members),
        rules=tuple(MemberRule(each.service, each.header, each.cookie, each.value) for each in message.rules),
        sticky_header=message.sticky_header,
        sticky_cookie=message.sticky_cookie,
    )


def settings_from_proto(message: pb.GatewaySettings) -> EdgeSettings:
    """What an operator set for a gateway."""
    return EdgeSettings(
        tls_port=message.tls_port,
        domains=tuple(
            Domain(each.name, each.certificate, each.key, each.certificate_file, each.key_file)
            for each in message.domains
        ),
        redirect_https=message.redirect_https,
        allow=tuple(message.allow),
        deny=tuple(message.deny),
        body_limit_bytes=message.body_limit_bytes,
        no_body_limit=message.no_body_limit,
        max_connections=message.max_connections,
        upstream_ca=message.upstream_ca,
        upstream_certificate=message.upstream_certificate,
        upstream_key=message.upstream_key,
    )


def service_to_proto(service: Service) -> pb.ServiceRoute:
    """One service as the feed would say it."""
    return pb.ServiceRoute(
        name=service.name,
        tokens=[each.value for each in service.tokens],
        token_ids=[each.id for each in service.tokens],
        keepalive_ms=_milliseconds(service.keepalive),
        keep_path=service.keep_path,
        grpc=service.grpc,
        backends=[
            pb.Backend(version=backend.version, endpoints=_endpoints_out(backend.endpoints))
            for backend in service.backends
        ],
        webservice=service.webservice,
        limits=pb.Limits(
            rate_per_instance=service.limits.rate_per_instance,
            rate=service.limits.rate,
            concurrency=service.limits.concurrency,
            in_flight_per_instance=service.limits.in_flight_per_instance,
        ),
        mirrors=[
            pb.Mirror(
                service=each.service,
                ratio=each.ratio,
                endpoints=_endpoints_out(each.endpoints),
                grpc=each.grpc,
                keep_path=each.keep_path,
                keepalive_ms=_milliseconds(each.keepalive),
                compare_ppm=each.compare_ppm,
            )
            for each in service.mirrors
        ],
        direct=[
            pb.DirectEndpoint(address=each.address, port=each.port, weight=each.weight)
            for each in service.direct
        ],
        tcp_listeners=[pb.TcpListener(id=each.id, port=each.port) for each in service.tcp_listeners],
        registrations=[
            pb.Registration(
                registry=each.registry,
                kind=each.kind,
                url=each.url,
                namespace=each.namespace,
                group=each.group,
                user=each.user,
                password=each.password,
                service_name=each.service_name,
            )
            for each in service.registrations
        ],
        group=service.group,
        hold=_hold_out(service.hold) if service.hold is not None else None,
    )


def group_to_proto(group: Group) -> pb.GroupRoute:
    """One group as the feed would say it."""
    return pb.GroupRoute(
        name=group.name,
        tokens=[each.value for each in group.tokens],
        token_ids=[each.id for each in group.tokens],
        members=[pb.GroupMember(service=each.service, weight=each.weight) for each in group.members],
        rules=[
            pb.MemberRule(service=each.service, header=each.header, cookie=each.cookie, value=each.value)
            for each in group.rules
        ],
        sticky_header=group.sticky_header,
        sticky_cookie=group.sticky_cookie,
    )


def settings_to_proto(settings: EdgeSettings) -> pb.GatewaySettings:
    """What an operator set for a gateway, as the feed would say it."""
    return pb.GatewaySettings(
        tls_port=settings.tls_port,
        domains=[
            pb.Domain(
                name=each.name,
                certificate=each.certificate,
                key=each.key,
                certificate_file=each.certificate_file,
                key_file=each.key_file,
            )
            for each in settings.domains
        ],
        redirect_https=settings.redirect_https,
        allow=settings.allow,
        deny=settings.deny,
        body_limit_bytes=settings.body_limit_bytes,
        no_body_limit=settings.no_body_limit,
        max_connections=settings.max_connections,
        upstream_ca=settings.upstream_ca,
        upstream_certificate=settings.upstream_certificate,
        upstream_key=settings.upstream_key,
    )


def hosted_to_proto(hosted: Iterable[HostedGateway]) -> pb.HostedGateways:
    """The gateways that a process runs, as the feed would say it."""
    return pb.HostedGateways(
        gateways=[
            pb.HostedGateway(name=each.name, port=each.port, workers=each.workers, public_url=each.public_url)
            for each in hosted
        ]
    )


def condition_to_proto(condition: Condition) -> pb.GatewayStatus:
    """What a gateway says of itself."""
    message = pb.GatewayStatus(why=condition.why)
    for each in condition.certificates:
        state = message.certificates.add(domain=each.domain, why=each.why)
        if each.not_after is not None:
            state.not_after.FromDatetime(each.not_after)
    return message


def _hosted(message: pb.HostedGateways) -> tuple[HostedGateway, ...]:
    return tuple(
        HostedGateway(each.name, each.port, each.workers, each.public_url) for each in message.gateways
    )


def _hold(message: pb.Hold) -> Hold:
    return Hold(message.requests, message.mib, timedelta(milliseconds=message.within_ms))


def _hold_out(hold: Hold) -> pb.Hold:
    return pb.Hold(requests=hold.requests, mib=hold.mib, within_ms=_milliseconds(hold.within))


def _tokens(values: Iterable[str], ids: Iterable[str]) -> tuple[Token, ...]:
    """An empty token is none."""
    return tuple(Token(value, id_) for value, id_ in zip_longest(values, ids, fillvalue="") if value)


def _endpoints(endpoints: Iterable[pb.Endpoint]) -> tuple[Endpoint, ...]:
    return tuple(Endpoint(each.instance, each.address, each.port, each.node) for each in endpoints)


def _endpoints_out(endpoints: Iterable[Endpoint]) -> list[pb.Endpoint]:
    return [
        pb.Endpoint(instance=each.instance, address=each.address, port=each.port, node=each.node)
        for each in endpoints
    ]


def _milliseconds(length: timedelta) -> int:
    return int(length / timedelta(milliseconds=1))
