"""Which group a service is in, which gateway it is on, and when groups begin and end. Pure.

A service is where its version in force puts it; `placed` is asked wherever that changes. A group begins with
its first member and ends with its last, unless it was created by itself; `with_groups` adds that to whatever
is about to be stored.
"""

import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from libs.db.changes import Changes, Record
from libs.domain.errors import AlreadyExists, InvalidSpec
from libs.domain.records import Event, Service
from libs.domain.states import EventKind, TrafficState
from libs.domain.traffic import BY_INSTANCES, SHARED_GATEWAY, Group
from libs.spec import ServiceSpec
from services.scheduler.world import World

NAMES = "3 to 63 lower-case letters, digits, `_` and `-`, not beginning with `-`"
_NAME = re.compile(r"[a-z0-9_][a-z0-9_-]{2,62}")


def placed(world: World, service: Service, spec: ServiceSpec) -> Service:
    """The service in the group and on the gateway that `spec` names.

    A new member takes requests of the group only when no other member does: an entry that nobody answers
    helps nobody. One that leaves its group has nothing of it left. Raises InvalidSpec.
    """
    gateway = spec.gateway or SHARED_GATEWAY
    if gateway != service.gateway:
        _refuse_unknown(world, gateway)
    group = spec.metadata.group or ""
    if group:
        _refuse_group(world, service.name, group, gateway)
    if group == service.group:
        return replace(service, gateway=gateway)
    others = (member for member in world.members_of(group) if member.name != service.name)
    answered = any(m.traffic_state is TrafficState.GROUPING and not m.deleting for m in others)
    state = TrafficState.GROUPING if group and not answered else TrafficState.STANDALONE
    return replace(service, group=group, gateway=gateway, traffic_state=state, weight=BY_INSTANCES)


def refuse_taken(world: World, name: str) -> None:
    """Raises AlreadyExists when a new service would have the name of a group."""
    if name in world.groups:
        raise AlreadyExists(
            f"there is a group {name!r} already, and a service would have its address; choose another name"
        )


def is_name(name: str) -> bool:
    """Whether a group may be called so; the same as for services."""
    return _NAME.fullmatch(name) is not None


def new_group(name: str, gateway: str, now: datetime) -> Group:
    """With a token of its own."""
    return Group(name, secrets.token_urlsafe(24), created_at=now, updated_at=now, gateway=gateway)


def with_groups(world: World, changes: Changes, now: datetime) -> Changes:
    """The changes, and what they come to for groups: those that begin, end, or lose what a member brought."""
    after: dict[str, Service | None] = {r.name: None for r in changes.delete if isinstance(r, Service)}
    after |= {r.name: r for r in changes.put if isinstance(r, Service)}
    moved = {name: service for name, service in after.items() if _moves(world.services.get(name), service)}
    ramps = [world.ramps[name] for name, service in after.items() if service is None and name in world.ramps]
    if not moved and not ramps:
        return changes
    draft = _Draft(world, moved, now)
    for name, service in sorted(moved.items()):
        draft.tell(name, world.services.get(name), service)
    for group in sorted(_groups_in(world, moved)):
        draft.settle(group)
    return Changes(
        (*changes.put, *draft.put), (*changes.delete, *ramps, *draft.delete), (*changes.events, *draft.events)
    )


@dataclass
class _Draft:
    world: World
    moved: Mapping[str, Service | None]
    now: datetime
    put: list[Record] = field(default_factory=list)
    delete: list[Record] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)

    def tell(self, name: str, before: Service | None, after: Service | None) -> None:
        """What the service's owner reads of it."""
        old, new = before.group if before else "", after.group if after else ""
        if after is None or old == new:
            return
        if old:
            self._of_service(name, "GroupLeft", f"it has left group {old!r} and takes none of its requests")
        if new:
            self._of_service(name, "GroupJoined", _joined(after))

    def settle(self, name: str) -> None:
        """Leaves the group as its members will be."""
        members = {m.name: m for m in self.world.members_of(name) if m.name not in self.moved}
        members |= {s.name: s for s in self.moved.values() if s is not None and s.group == name}
        known = self.world.groups.get(name)
        first = min(members.values(), key=lambda m: m.name, default=None)
        if known is None:
            if first is not None:
                self.put.append(new_group(name, first.gateway, self.now))
                self._of_group(name, "GroupCreated", f"made by its first member, {first.name!r}")
        elif first is None and not known.kept:
            self.delete += [known, *self.world.access_tokens_of("group", name)]
            self._of_group(name, "GroupDeleted", "its last member is gone")
        else:
            rules = tuple(rule for rule in known.rules if rule.service in members)
            gateway = known.gateway if first is None or known.kept else first.gateway
            if (rules, gateway) != (known.rules, known.gateway):
                self.put.append(replace(known, rules=rules, gateway=gateway, updated_at=self.now))

    def _of_service(self, name: str, reason: str, why: str) -> None:
        self.events.append(Event(self.now, EventKind.NORMAL, reason, why, "service", name, name))

    def _of_group(self, name: str, reason: str, why: str) -> None:
        self.events.append(Event(self.now, EventKind.NORMAL, reason, why, "group", name))


def _moves(before: Service | None, after: Service | None) -> bool:
    old = (before.group, before.gateway) if before else ("", "")
    new = (after.group, after.gateway) if after else ("", "")
    return old != new and bool(old[0] or new[0])


def _groups_in(world: World, moved: Mapping[str, Service | None]) -> set[str]:
    both: Iterable[Service | None] = (s for name in moved for s in (world.services.get(name), moved[name]))
    return {service.group for service in both if service is not None and service.group}


def _joined(service: Service) -> str:
    if service.traffic_state is TrafficState.GROUPING:
        return f"it is in group {service.group!r} and takes its requests, since no other member does"
    return (
        f"it is in group {service.group!r} and takes none of its requests until it is released "
        f"(`easel release {service.name} --state grouping`)"
    )


def _refuse_unknown(world: World, gateway: str) -> None:
    if gateway != SHARED_GATEWAY and gateway not in world.gateways:
        known = ", ".join(sorted({SHARED_GATEWAY, *world.gateways}))
        raise InvalidSpec("networking.gateway", gateway, f"an existing gateway ({known})")


def _refuse_group(world: World, service: str, name: str, gateway: str) -> None:
    if not is_name(name):
        raise InvalidSpec("metadata.group", name, NAMES)
    if name == service or name in world.services:
        raise InvalidSpec("metadata.group", name, "a name that no service has; both would have one address")
    known = world.groups.get(name)
    if known is None or known.gateway == gateway:
        return
    others = [member.name for member in world.members_of(name) if member.name != service]
    if known.kept or others:
        raise InvalidSpec(
            "metadata.group", name, f"a group on gateway {gateway!r}; this one is on {known.gateway!r}"
        )
