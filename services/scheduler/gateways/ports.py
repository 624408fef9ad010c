"""Who listens where. Gateways that one process runs share its host, and so its ports. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from libs.domain.errors import InvalidRequest, InvalidSpec
from libs.domain.traffic import SHARED_GATEWAY, Gateway
from libs.spec import ServiceSpec
from services.scheduler.routes.in_force import facts_in_force
from services.scheduler.world import World


@dataclass(frozen=True)
class Taken:
    """A port that is listened on, and by what."""

    port: int
    by: str


def refuse_taken(world: World, gateway: Gateway, listening: Mapping[str, int]) -> None:
    """Raises InvalidRequest when a port of the gateway is another's, or a load balancer's.

    A gateway with a process of its own has its port in that process's settings: `listening` knows it.
    """
    process = gateway.host or gateway.name
    taken = {each.port: each.by for each in _of_gateways(world, process, but=gateway.name)}
    if process in listening:
        taken[listening[process]] = f"gateway {process!r}"
    taken |= {each.port: each.by for each in _of_services(world, process, but="")}
    for field, port in (("port", gateway.port), ("tls_port", gateway.tls_port)):
        if port and port in taken:
            raise InvalidRequest(field, port, f"a port that is free on its host; {taken[port]} has it")


def refuse_taken_listeners(world: World, spec: ServiceSpec) -> None:
    """Raises InvalidSpec when a port of networking.nlb is a gateway's, or another service's."""
    listeners = spec.networking.nlb
    if not listeners:
        return
    process = _process_of(world, spec.gateway or SHARED_GATEWAY)
    taken = {each.port: each.by for each in _of_gateways(world, process, but="")}
    taken |= {each.port: each.by for each in _of_services(world, process, but=spec.name)}
    for index, listener in enumerate(listeners):
        port, path = listener.listener_port, f"networking.nlb[{index}].listener_port"
        if port in taken:
            raise InvalidSpec(path, port, f"a port that is free on its gateway's host; {taken[port]} has it")
        taken[port] = f"networking.nlb[{index}]"


def _of_gateways(world: World, process: str, but: str) -> Iterator[Taken]:
    for gateway in world.gateways.values():
        if gateway.name != but and (gateway.host or gateway.name) == process:
            yield from (Taken(p, f"gateway {gateway.name!r}") for p in (gateway.port, gateway.tls_port) if p)


def _of_services(world: World, process: str, but: str) -> Iterator[Taken]:
    for service in world.services.values():
        if service.name == but or _process_of(world, service.gateway) != process:
            continue
        for _, port in facts_in_force(world, service).edge.listeners:
            yield Taken(port, f"networking.nlb of service {service.name!r}")


def _process_of(world: World, gateway: str) -> str:
    record = world.gateways.get(gateway)
    return record.host or gateway if record is not None else gateway
