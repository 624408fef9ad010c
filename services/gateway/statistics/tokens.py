"""Which tokens Envoy counts, and under which names."""

from collections.abc import Mapping
from typing import Protocol

from services.gateway.routes import Group, Service
from services.gateway.routing.doors import counted_as


class Owners(Protocol):
    """Those that have tokens."""

    @property
    def services(self) -> Mapping[str, Service]: ...

    @property
    def groups(self) -> Mapping[str, Group]: ...


def counted_tokens(owners: Owners) -> dict[str, str]:
    """The ids of the tokens of entries that several tokens open, by what their uses are counted under."""
    several = [each.tokens for each in owners.groups.values() if len(each.tokens) > 1]
    several += [
        each.tokens
        for each in owners.services.values()
        if len(each.tokens) > 1 or each.group in owners.groups
    ]
    return {counted_as(token): token.id for tokens in several for token in tokens if token.id}
