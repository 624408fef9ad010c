"""The routes feed's messages as domain values. Protos of the feed stop here."""

from datetime import timedelta

from easel.gateway.v1 import gateway_pb2 as pb
from services.gateway.routes import Backend, Endpoint, Service, Update


def update_from_proto(message: pb.RoutesUpdate) -> Update:
    """One update of the feed."""
    return Update(
        generation=message.generation,
        full=message.full,
        services=tuple(service_from_proto(each) for each in message.services),
        removed=tuple(message.removed),
    )


def service_from_proto(message: pb.ServiceRoute) -> Service:
    """One service of the feed, its backends in the order of their versions."""
    return Service(
        name=message.name,
        tokens=tuple(message.tokens),
        keepalive=timedelta(milliseconds=message.keepalive_ms),
        keep_path=message.keep_path,
        grpc=message.grpc,
        backends=tuple(
            Backend(
                backend.version,
                tuple(Endpoint(each.instance, each.address, each.port) for each in backend.endpoints),
            )
            for backend in sorted(message.backends, key=lambda each: each.version)
        ),
    )


def service_to_proto(service: Service) -> pb.ServiceRoute:
    """One service as the feed would say it."""
    return pb.ServiceRoute(
        name=service.name,
        tokens=service.tokens,
        keepalive_ms=int(service.keepalive / timedelta(milliseconds=1)),
        keep_path=service.keep_path,
        grpc=service.grpc,
        backends=[
            pb.Backend(
                version=backend.version,
                endpoints=[
                    pb.Endpoint(instance=each.instance, address=each.address, port=each.port)
                    for each in backend.endpoints
                ],
            )
            for backend in service.backends
        ],
    )
