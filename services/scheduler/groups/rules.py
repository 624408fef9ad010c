"""What can be done to groups and with their members' weights: pure decisions for the ledger."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from libs.db.changes import Changes, Record
from libs.domain.errors import AlreadyExists, FailedPrecondition, InvalidRequest
from libs.domain.records import Event, Service
from libs.domain.states import EventKind, TrafficMode, TrafficState
from libs.domain.traffic import BY_INSTANCES, SHARED_GATEWAY, Group, MemberRule
from services.scheduler.admin.marks import deleted, merged_labels
from services.scheduler.admin.writing import changeable, takeable, written
from services.scheduler.groups.membership import NAMES, is_name, new_group
from services.scheduler.groups.picture import running_ramp
from services.scheduler.groups.shares import HIGHEST_WEIGHT
from services.scheduler.ramp.begin import on_its_way
from services.scheduler.world import World

MOST_RULES = 32
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}")
_VALUE = re.compile(r"[ -~]{0,512}")
# Headers that no rule looks at, and why.
_SECRET = {
    "authorization": "another header: this one shows a token, and rules are seen by all who may read groups",
    "cookie": "another header; a rule about a cookie names the cookie instead (cookie:NAME)",
}
_HEADER = "the name of a header: up to 128 letters, digits and `-`"
_COOKIE = "the name of a cookie: up to 128 letters, digits, `-` and `_`"


@dataclass(frozen=True)
class GroupChange:
    """What is to change of a group; None leaves it. A label with an empty value is removed."""

    traffic_mode: TrafficMode | None = None
    labels: Mapping[str, str] | None = None
    sticky_header: str | None = None
    sticky_cookie: str | None = None
    rules: tuple[MemberRule, ...] | None = None


def created(
    world: World, name: str, mode: TrafficMode, labels: Mapping[str, str], gateway: str, now: datetime
) -> Changes:
    """A group that stays without members. Raises InvalidRequest, AlreadyExists, NotFound for its gateway."""
    if not is_name(name):
        raise InvalidRequest("name", name, NAMES)
    if name in world.services:
        raise AlreadyExists(
            f"there is a service {name!r} already, and a group would have its address; choose another name"
        )
    if name in world.groups:
        raise AlreadyExists(f"there is a group {name!r} already")
    if gateway not in ("", SHARED_GATEWAY):
        world.gateway(gateway)
    base = new_group(name, gateway or SHARED_GATEWAY, now)
    group = replace(base, traffic_mode=mode, kept=True, labels=merged_labels({}, labels))
    return Changes(put=(group,), events=(_event(name, "GroupCreated", "it was created by itself", now),))


def updated(world: World, name: str, change: GroupChange, now: datetime) -> Changes:
    """Raises NotFound, InvalidRequest, and FailedPrecondition for another mode while a ramp is under way."""
    group = world.group(name)
    after = replace(
        group,
        traffic_mode=change.traffic_mode or group.traffic_mode,
        labels=merged_labels(group.labels, change.labels or {}),
        sticky_header=_named("sticky_header", change.sticky_header, group.sticky_header, _HEADER).lower(),
        sticky_cookie=_named("sticky_cookie", change.sticky_cookie, group.sticky_cookie, _COOKIE),
        rules=group.rules if change.rules is None else _checked(world, group, change.rules),
    )
    if after == group:
        return Changes()
    ramp = running_ramp(world, name)
    if after.traffic_mode is not group.traffic_mode and ramp is not None:
        raise FailedPrecondition(on_its_way(ramp))
    why = f"changed by hand: {', '.join(_differing(group, after))}"
    return Changes(put=(replace(after, updated_at=now),), events=(_event(name, "GroupUpdated", why, now),))


def group_deleted(world: World, name: str, cascade: bool, now: datetime) -> Changes:
    """With its members where `cascade` says so: it is gone with the last of them. Safe to repeat.

    Raises NotFound, and FailedPrecondition while it has members that stay or are locked.
    """
    group = world.group(name)
    members = sorted(world.members_of(name), key=lambda member: member.name)
    if not members:
        tokens = tuple(world.access_tokens_of("group", name))
        event = _event(name, "GroupDeleted", "a deletion was asked for", now)
        return Changes((), (group, *tokens), (event,))
    staying = [member.name for member in members if not member.deleting]
    if staying and not cascade:
        raise FailedPrecondition(
            f"group {name!r} has members ({', '.join(staying)}); delete them first, or with it by --cascade"
        )
    for member in staying:
        takeable(world, member, "it cannot be deleted with its group")
    why = f"its group {name!r} is being deleted with all its members"
    gone = [deleted(world, member, why, now) for member in staying]
    put: list[Record] = [record for changes in gone for record in changes.put]
    if group.kept:
        put.append(replace(group, kept=False, updated_at=now))
    return Changes(tuple(put), (), tuple(event for changes in gone for event in changes.events))


def released(
    world: World, name: str, state: TrafficState | None, weight: int | None, now: datetime
) -> Changes:
    """Whether a member takes its group's requests, and how many beside the others.

    A weight makes the group's traffic mode customized: then all go by weights. One other than 0 without a
    state lets a standalone member take the group's requests, too. Raises NotFound, InvalidRequest,
    FailedPrecondition for one in no group and while a ramp of the group is under way.
    """
    if state is None and weight is None:
        raise InvalidRequest("traffic_state", "nothing", "a traffic state, a weight or both")
    if weight is not None and not BY_INSTANCES <= weight <= HIGHEST_WEIGHT:
        raise InvalidRequest(
            "weight", weight, f"0 to {HIGHEST_WEIGHT}, or {BY_INSTANCES} for as many as its ready instances"
        )
    service = changeable(world, name, "what it takes of its group's requests cannot be changed")
    if not service.group:
        raise FailedPrecondition(f"service {name!r} is in no group; name one with metadata.group")
    if (ramp := running_ramp(world, service.group)) is not None:
        raise FailedPrecondition(on_its_way(ramp))
    lets = state is None and bool(weight) and service.traffic_state is TrafficState.STANDALONE
    after = replace(
        service,
        traffic_state=TrafficState.GROUPING if lets else state or service.traffic_state,
        weight=service.weight if weight is None else weight,
    )
    group = world.group(service.group)
    by_weights = replace(group, traffic_mode=TrafficMode.CUSTOMIZED, updated_at=now)
    turns = weight is not None and group.traffic_mode is not TrafficMode.CUSTOMIZED
    if after == service and not turns:
        return Changes()
    why = f"{_standing(after)}; the weight made it grouping" if lets else _standing(after)
    told = written(service, after, "ServiceReleased", why, now)
    return replace(told, put=(*told.put, by_weights)) if turns else told


def _standing(service: Service) -> str:
    if service.traffic_state is TrafficState.STANDALONE:
        return f"it takes no requests of group {service.group!r}, only its own"
    amount = "by its ready instances" if service.weight == BY_INSTANCES else f"with weight {service.weight}"
    return f"it takes requests of group {service.group!r}, {amount}"


def _named(field: str, value: str | None, known: str, expected: str) -> str:
    if value is None:
        return known
    if value and not _TOKEN.fullmatch(value):
        raise InvalidRequest(field, value[:80], expected)
    return value


def _checked(world: World, group: Group, rules: tuple[MemberRule, ...]) -> tuple[MemberRule, ...]:
    members = {member.name for member in world.members_of(group.name)}
    if len(rules) > MOST_RULES:
        raise InvalidRequest("rules", f"{len(rules)} rules", f"{MOST_RULES} at most")
    return tuple(_rule(rule, index, members) for index, rule in enumerate(rules))


def _rule(rule: MemberRule, index: int, members: set[str]) -> MemberRule:
    place = f"rules[{index}]"
    if rule.service not in members:
        known = ", ".join(sorted(members)) or "it has none"
        raise InvalidRequest(f"{place}.service", rule.service, f"a member of the group ({known})")
    if bool(rule.header) == bool(rule.cookie):
        raise InvalidRequest(f"{place}.header", rule.header, "either a header or a cookie")
    if not _TOKEN.fullmatch(rule.header or rule.cookie):
        field, expected = ("header", _HEADER) if rule.header else ("cookie", _COOKIE)
        raise InvalidRequest(f"{place}.{field}", (rule.header or rule.cookie)[:80], expected)
    if rule.header.lower() in _SECRET:
        raise InvalidRequest(f"{place}.header", rule.header, _SECRET[rule.header.lower()])
    if not _VALUE.fullmatch(rule.value):
        raise InvalidRequest(f"{place}.value", rule.value[:80], "up to 512 printable characters")
    return replace(rule, header=rule.header.lower())


def _differing(before: Group, after: Group) -> list[str]:
    fields = ("traffic_mode", "labels", "sticky_header", "sticky_cookie", "rules")
    return [each.replace("_", " ") for each in fields if getattr(before, each) != getattr(after, each)]


def _event(group: str, reason: str, why: str, now: datetime) -> Event:
    return Event(now, EventKind.NORMAL, reason, why, "group", group)
