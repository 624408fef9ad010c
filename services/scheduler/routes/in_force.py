"""What the version in force of a service says, for those that must go on whatever it says."""

import contextlib
import json
import logging

from libs.domain.errors import EaselError
from libs.domain.records import Service
from services.scheduler.facts import Facts, facts_of
from services.scheduler.world import World

log = logging.getLogger(__name__)

_PLAIN = json.dumps({"metadata": {"name": "any"}, "containers": [{"image": "any"}]})


def facts_in_force(world: World, service: Service) -> Facts:
    """What the version in force says. One that cannot be read any more costs no instance its traffic.

    Then the newest version that can be read stands in for it, and the defaults when there is none.
    """
    versions = world.versions.get(service.name, {})
    for number in (service.version, *sorted(versions, reverse=True)):
        with contextlib.suppress(EaselError):
            return facts_of(world.version(service.name, number).spec_json)
    log.warning("no version of a service can be read", extra={"service": service.name})
    return facts_of(_PLAIN)
