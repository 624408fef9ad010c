"""Which requests go where: the entries of a service or a group, as rules without a word of Envoy's.

An entry is found by one element of the path or by the host name. Its doors say who is let in, its choices
say which service then takes the request: the first whose condition holds. `xds/scopes.py` makes routes of
this, and `explain.py` follows it for one request.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from services.gateway.routes import Service
from services.gateway.routing.doors import Door, doors
from services.gateway.routing.replies import NO_INSTANCE, NOT_OPENED, Reply

HOST_MARK = "#"
PREFIX = "/api/predict/"


@dataclass(frozen=True)
class Choice:
    """A service that takes requests."""

    service: Service


@dataclass(frozen=True)
class Entry:
    """One place at which requests come in; `key` is what the listener finds it by.

    `path` is the prefix in front of what is asked for; empty where the host name alone leads here.
    """

    key: str
    path: str
    doors: tuple[Door, ...]
    choices: tuple[Choice, ...]
    # Said to whom no door opens, and where there is nobody to choose.
    closed: Reply = NOT_OPENED
    nobody: Reply = NO_INSTANCE


def service_entries(service: Service, domains: Iterable[str]) -> list[Entry]:
    """By path, and by host name for each domain, such as "easel.local" or "easel.local:8800"."""
    return _entries(service.name, doors(service.tokens), (Choice(service),), domains)


def _entries(
    name: str, opened_by: tuple[Door, ...], choices: tuple[Choice, ...], domains: Iterable[str]
) -> list[Entry]:
    by_path = Entry(name, PREFIX + name, opened_by, choices)
    return [by_path, *(Entry(f"{HOST_MARK}{name}.{domain}", "", opened_by, choices) for domain in domains)]
