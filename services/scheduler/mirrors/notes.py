"""Why a target of a mirror gets no copies, or its answers are not compared, one sentence each. Pure."""

from collections.abc import Iterator

from libs.domain.records import Service
from libs.domain.traffic import Mirror
from services.scheduler.routes.in_force import facts_in_force
from services.scheduler.world import World


def notes_of(world: World, mirror: Mirror) -> Iterator[str]:
    """In the order of the targets."""
    service = world.services.get(mirror.service)
    if service is None:
        return
    if not mirror.ratio:
        yield "the mirror is paused: its ratio is 0"
        return
    if not any(i.routed for i in world.instances_of(service.name)):
        yield f"{service.name!r} has no ready instance, so there is nothing to copy"
    grpc = facts_in_force(world, service).grpc
    for name in mirror.targets:
        yield from _of_target(world, name, grpc)
    if mirror.compare_ppm and grpc:
        yield f"answers are not compared: {service.name!r} speaks gRPC"


def _of_target(world: World, name: str, grpc: bool) -> Iterator[str]:
    target = world.services.get(name)
    if target is None:
        yield f"there is no service {name!r} any more"
        return
    if not any(i.routed for i in world.instances_of(name)):
        yield f"{name!r} gets no copies: {_idle(target)}"
    if facts_in_force(world, target).grpc is not grpc:
        speaks = "speaks gRPC and the copies do not" if not grpc else "does not speak gRPC and the copies do"
        yield f"{name!r} will not understand the copies: it {speaks}"


def _idle(target: Service) -> str:
    if target.deleting:
        return "it is being deleted"
    if target.stopped:
        return "it is stopped"
    return f"it has no ready instance: {target.why}" if target.why else "it has no ready instance"
