"""What would become of a request, by the very rules that routes are made of."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from services.gateway.routes import Backend, Group, Mirror, Service
from services.gateway.routing.arrival import MOVED, OPEN, Arrival
from services.gateway.routing.choosing import Likely, chosen
from services.gateway.routing.front import PLAIN_PATHS, said_of
from services.gateway.routing.limits import bounds
from services.gateway.routing.members import Choice
from services.gateway.routing.opening import opened
from services.gateway.routing.replies import (
    NO_HEALTHY_INSTANCE,
    NO_SERVICE,
    NOT_FROM_HERE,
    NOT_OPENED,
    Reply,
)
from services.gateway.routing.request import Request
from services.gateway.routing.rules import (
    HOST_MARK,
    PREFIX,
    SERVICE_HEADER,
    Entry,
    group_entries,
    service_entries,
)
from services.gateway.routing.waiting import waiting_rule


@dataclass(frozen=True)
class World:
    """What a gateway knows. The first of `domains` completes names that a header gives."""

    services: Mapping[str, Service]
    groups: Mapping[str, Group]
    domains: tuple[str, ...]
    periods: tuple[int, ...] = ()
    arrival: Arrival = OPEN


@dataclass(frozen=True)
class Target:
    """The ready instances of one version, and which share of such requests goes there."""

    service: str
    backend: Backend
    share: float


@dataclass(frozen=True)
class Explanation:
    """`status` is what the gateway itself would answer; 0 where an instance would, or the gateway process.

    `service` is the one that takes the request, empty where several may; `token` is the id of the one that
    opens the way.
    """

    status: int
    why: str
    steps: tuple[str, ...] = ()
    group: str = ""
    service: str = ""
    token: str = ""
    targets: tuple[Target, ...] = ()
    limits: tuple[str, ...] = ()
    mirrors: tuple[str, ...] = ()
    path: str = ""


@dataclass
class _Said:
    """What was found so far, in the order in which it is decided."""

    steps: list[str] = field(default_factory=list)
    group: str = ""
    service: str = ""
    token: str = ""

    def refused(self, reply: Reply) -> Explanation:
        return Explanation(
            reply.status, reply.sentence, tuple(self.steps), self.group, self.service, self.token
        )


def explain(request: Request, world: World) -> Explanation:
    """Follows one request from its address to the instances that may answer it."""
    said = _Said()
    refusal = _received(request, world.arrival, said.steps)
    if refusal is not None:
        return said.refused(refusal)
    if own := said_of(request.path):
        return Explanation(0, own, tuple(said.steps))
    key = _address(request, world, said.steps)
    entry = entry_of(key, world)
    if entry is None:
        if key != key.lower():
            said.steps.append("names are in lower case, and this one is not")
        return said.refused(NO_SERVICE)
    said.group, said.service = entry.group, entry.service
    said.steps.append(f"that is {_called(entry)}")
    way = opened(request, entry.doors)
    said.steps.append(way.step)
    if way.token is None:
        return said.refused(NOT_OPENED if way.signed else entry.closed)
    said.token = way.token.id
    return _led(request, entry, world, said)


def entry_of(key: str, world: World) -> Entry | None:
    """The entry of this key, found without building those of all services."""
    name = key
    if key.startswith(HOST_MARK):
        host = key.removeprefix(HOST_MARK)
        # The longest, where one domain lies within another.
        within = [each for each in world.domains if host.endswith(f".{each}")]
        name = host.removesuffix(f".{max(within, key=len)}") if within else ""
    built: Iterable[Entry] = ()
    if name in world.groups:
        built = group_entries(world.groups[name], world.services, world.domains)
    elif (service := world.services.get(name.rpartition(".")[2])) is not None:
        built = service_entries(service, world.domains, world.groups.get(service.group), world.periods)
    return next((each for each in built if each.key == key), None)


def _received(request: Request, arrival: Arrival, steps: list[str]) -> Reply | None:
    """What the listener answers, whichever service a request is for; None where it goes on."""
    if arrival.lists:
        steps.append(f"not every network may call ({arrival.lists})")
        if arrival.admits_nobody:
            steps.append("that leaves nobody who is let in")
            return NOT_FROM_HERE
        if request.address and not arrival.admits(request.address):
            steps.append(f"{request.address} is not let in")
            return NOT_FROM_HERE
        unknown = "what follows holds for clients that are let in; name one to hear of it"
        steps.append(f"{request.address} is let in" if request.address else unknown)
    if not arrival.redirect_port or request.scheme == "https" or request.path.startswith(PLAIN_PATHS):
        return None
    to_tls = f"sent on to the same address by https at port {arrival.redirect_port}"
    if request.scheme:
        return Reply(MOVED, f"plain requests are {to_tls}")
    steps.append(f"with plain http it is {to_tls} ({MOVED}); what follows holds for https")
    return None


def _address(request: Request, world: World, steps: list[str]) -> str:
    """What the listener looks for."""
    if request.path.startswith(PREFIX):
        name = request.bare_path.split("/")[3]
        steps.append(f"the path names {name!r}")
        return name
    named = request.header(SERVICE_HEADER)
    if named is not None:
        host = f"{named}.{world.domains[0]}"
        steps.append(f"the header {SERVICE_HEADER} names {named!r}, like the host name {host!r}")
        return HOST_MARK + host
    steps.append(f"the path does not begin with {PREFIX}, so the host name {request.host!r} decides")
    return HOST_MARK + request.host


def _called(entry: Entry) -> str:
    if not entry.service:
        return f"group {entry.group}"
    return f"service {entry.service}" + (f", as a member of group {entry.group}" if entry.group else "")


def _led(request: Request, entry: Entry, world: World, said: _Said) -> Explanation:
    if not entry.service:
        said.steps += _left_out(world.groups[entry.group], entry.choices, world.services)
    found = chosen(request, entry.choices)
    if found.step:
        said.steps.append(found.step)
    if not found.likely:
        return said.refused(entry.nobody)
    said.service = found.likely[0].service.name if len(found.likely) == 1 else ""
    targets = tuple(target for each in found.likely for target in _targets(each))
    waiting = not targets and all(each.service.holds for each in found.likely)
    if not targets and not waiting:
        has_version = any(each.service.backends for each in found.likely)
        return said.refused(NO_HEALTHY_INSTANCE if has_version else entry.nobody)
    services = [each.service for each in found.likely]
    paths = {each.name: _seen(request, entry, each) for each in services}
    if len(set(paths.values())) > 1:
        said.steps += [f"an instance of {name} sees the path {path}" for name, path in paths.items()]
    return Explanation(
        0,
        f"goes to {_sum(targets)}" if targets else _waits(found.likely),
        tuple(said.steps),
        said.group,
        said.service,
        said.token,
        targets,
        _of_each(services, {each.name: _limits(each, world) for each in services}),
        _of_each(services, {each.name: tuple(map(_copied, each.mirrors)) for each in services}),
        next(iter(paths.values())),
    )


def _limits(service: Service, world: World) -> tuple[str, ...]:
    waiting = (waiting_rule(service.hold),) if service.hold is not None and service.holds else ()
    return (*bounds(service).rules, *waiting, *world.arrival.rules(service.grpc))


def _left_out(group: Group, choices: Iterable[Choice], services: Mapping[str, Service]) -> list[str]:
    taken = [*(each.service for each in group.members), *(each.service for each in group.rules)]
    asked = {choice.service.name for choice in choices}
    return [
        f"{name} is left out: it has no ready instance"
        for name in dict.fromkeys(taken)
        if name not in asked and (name not in services or not services[name].is_ready)
    ]


def _waits(likely: Iterable[Likely]) -> str:
    names = " or ".join(each.service.name for each in likely)
    return f"waits for an instance of {names}: none is ready, and a request that waits has one started"


def _targets(likely: Likely) -> list[Target]:
    ready = [each for each in likely.service.backends if each.endpoints]
    total = sum(len(each.endpoints) for each in ready)
    return [Target(likely.service.name, each, likely.share * len(each.endpoints) / total) for each in ready]


def _seen(request: Request, entry: Entry, service: Service) -> str:
    """The path that an instance sees."""
    if not entry.path or service.keep_path:
        return request.path
    rest = request.path.removeprefix(entry.path)
    return rest if rest.startswith("/") else f"/{rest}"


def _sum(targets: tuple[Target, ...]) -> str:
    if len(targets) == 1:
        count = len(targets[0].backend.endpoints)
        instances = "1 ready instance" if count == 1 else f"{count} ready instances"
        return f"{targets[0].service}, version {targets[0].backend.version}, {instances}"
    return ", ".join(f"{each.service} version {each.backend.version} ({each.share:.4g})" for each in targets)


def _copied(mirror: Mirror) -> str:
    if not mirror.endpoints:
        return f"{mirror.service} gets no copies: it has no ready instance"
    return f"{mirror.service} gets copies of {mirror.ratio} % of requests"


def _of_each(services: list[Service], said: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """Sentences as they are of one service; of several, with the name in front."""
    if len(services) == 1:
        return said[services[0].name]
    return tuple(f"{each.name}: {sentence}" for each in services for sentence in said[each.name])
