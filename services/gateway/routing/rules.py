"""Which requests go where: the entries of a service or a group, as rules without a word of Envoy's.

An entry is found by one element of the path or by the host name. Its doors say who is let in, its choices
say which service then takes the request: the first whose condition holds. `xds/scopes.py` makes routes of
this, and `explain.py` follows it for one request.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from services.gateway.routes import Group, Service
from services.gateway.routing.doors import Door, doors
from services.gateway.routing.members import Choice, choices
from services.gateway.routing.replies import NO_INSTANCE, NO_MEMBER, NOT_OPENED, PAGE_NOT_OPENED, Reply

HOST_MARK = "#"
PREFIX = "/api/predict/"
# What the gateway writes down for itself, and what a client may name a service or a group by.
SCOPE_HEADER = "x-easel-scope"
SERVICE_HEADER = "x-easel-service"


@dataclass(frozen=True)
class Entry:
    """One place at which requests come in; `key` is what the listener finds it by.

    `path` is the prefix in front of what is asked for; empty where the host name alone leads here. It is the
    entry of a group, of a service, or of a service by its name in a group.
    """

    key: str
    path: str
    group: str
    service: str
    doors: tuple[Door, ...]
    choices: tuple[Choice, ...]
    # Said to whom no door opens, and where there is nobody to choose.
    closed: Reply = NOT_OPENED
    nobody: Reply = NO_INSTANCE


def service_entries(
    service: Service, domains: Iterable[str], group: Group | None = None, periods: Iterable[int] = ()
) -> list[Entry]:
    """By path and by host name, for each domain, such as "easel.local" or "easel.local:8800".

    A member of a group has a second name, `{group}.{service}`, under which the group's tokens open it too.
    `periods` are those in which sessions of web services were begun that still count.
    """
    web, periods = service.name if service.webservice else "", tuple(periods)
    plan = Entry(
        service.name,
        "",
        "",
        service.name,
        doors(service.tokens, web, periods),
        (Choice(service),),
        closed=PAGE_NOT_OPENED if web else NOT_OPENED,
    )
    built = _entries(plan, domains)
    if service.group:
        tokens = (*service.tokens, *(group.tokens if group else ()))
        name = f"{service.group}.{service.name}"
        opened = doors(tuple(dict.fromkeys(tokens)), web, periods)
        built += _entries(replace(plan, key=name, doors=opened, group=service.group), domains)
    return built


def group_entries(group: Group, services: Mapping[str, Service], domains: Iterable[str]) -> list[Entry]:
    """By path and by host name; only the group's own tokens open it."""
    plan = Entry(
        group.name, "", group.name, "", doors(group.tokens), choices(group, services), nobody=NO_MEMBER
    )
    return _entries(plan, domains)


def keys_of(name: str, domains: Iterable[str]) -> list[str]:
    """What the entries of a name are found by: its path, and its host name in each domain."""
    return [name, *(f"{HOST_MARK}{name}.{domain}" for domain in domains)]


def _entries(plan: Entry, domains: Iterable[str]) -> list[Entry]:
    by_path, *by_host = keys_of(plan.key, domains)
    return [replace(plan, path=PREFIX + by_path), *(replace(plan, key=key) for key in by_host)]
