"""Which instances of a service are what to a plan. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from libs.domain.records import Instance, Service
from libs.domain.states import LIVE_STATES
from services.scheduler.rollout.obsolete import moves_by_choice, must_move, outdated
from services.scheduler.rollout.situation import Situation


@dataclass(frozen=True)
class Removal:
    """An instance that must leave, and the sentence why. One that is `patient` may end what is under way in
    it, however long that takes: the service goes on without it."""

    instance: Instance
    why: str
    patient: bool = False


@dataclass
class Groups:
    """Each live instance is in exactly one of these."""

    # Out of traffic and no longer counted: detached, or isolated and outdated.
    apart: list[Instance] = field(default_factory=list)
    # Out of traffic, but counted: isolated.
    held: list[Instance] = field(default_factory=list)
    # Of the version in force, and where they may stay.
    fresh: list[Instance] = field(default_factory=list)
    # Of other versions, and where they may stay.
    old: list[Instance] = field(default_factory=list)
    # To be replaced by one of their own version.
    moving: list[Removal] = field(default_factory=list)

    @property
    def counted(self) -> list[Instance]:
        return [*self.held, *self.serving_or_to_be]

    @property
    def serving_or_to_be(self) -> list[Instance]:
        return [*self.fresh, *self.old, *(removal.instance for removal in self.moving)]


def grouped(situation: Situation) -> Groups:
    """The live instances by what they are; oldest first."""
    groups, service = Groups(), situation.service
    for instance in sorted(situation.instances, key=lambda i: (i.created_at, i.id)):
        if instance.state not in LIVE_STATES:
            continue
        if is_apart(instance, service):
            groups.apart.append(instance)
        elif why := must_move(instance, situation):
            groups.moving.append(Removal(instance, why, patient=moves_by_choice(instance)))
        elif instance.isolated:
            groups.held.append(instance)
        elif instance.version == service.version:
            groups.fresh.append(instance)
        else:
            groups.old.append(instance)
    return groups


def is_apart(instance: Instance, service: Service) -> bool:
    """Whether it counts no longer: another has taken its place, or will."""
    return instance.detached or (instance.isolated and outdated(instance, service))


def serving(instances: Iterable[Instance]) -> int:
    """How many of these do their work."""
    return sum(i.serves for i in instances)
