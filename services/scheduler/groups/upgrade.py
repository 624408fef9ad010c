"""Services from before there were groups and gateways, whose documents named some already. Pure.

They are placed like new ones, once: then where a service is and what its version in force says agree, but for
one that was refused, which is asked for again at the next start.
"""

import contextlib
from collections.abc import Iterator
from datetime import datetime

from libs.db.changes import Changes
from libs.domain.errors import EaselError
from libs.domain.records import Service
from libs.spec import parse_stored
from services.scheduler.facts import facts_of
from services.scheduler.groups.membership import placed, with_groups
from services.scheduler.world import World


def misplaced(world: World) -> list[str]:
    """The services that are not where their version in force puts them; the oldest first, which makes it the
    first member of its group."""
    return [service.name for service in sorted(_misplaced(world), key=lambda s: (s.created_at, s.name))]


def placed_anew(world: World, name: str, now: datetime) -> Changes:
    """Raises InvalidSpec where its group or its gateway cannot have it."""
    service = world.services[name]
    spec = parse_stored(world.version(name, service.version).spec_json).spec
    return with_groups(world, Changes(put=(placed(world, service, spec),)), now)


def _misplaced(world: World) -> Iterator[Service]:
    for service in world.services.values():
        # What cannot be read is left as it is.
        with contextlib.suppress(EaselError):
            facts = facts_of(world.version(service.name, service.version).spec_json)
            if not service.deleting and (facts.group, facts.gateway) != (service.group, service.gateway):
                yield service
