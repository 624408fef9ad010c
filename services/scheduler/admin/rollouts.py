"""What a user does with an update that is under way. Pure decisions for the ledger."""

from datetime import datetime

from libs.db.changes import Changes
from libs.domain.errors import FailedPrecondition
from libs.domain.records import Rollout, Service
from services.scheduler.admin.updating import UpdateAsk
from services.scheduler.admin.writing import changeable, service_event
from services.scheduler.rollout.begin import Action, PlanAsked, controlled, is_back, replanned
from services.scheduler.world import World

_ASKED = {
    Action.PAUSE: ("RolloutPauseAsked", "a pause of the update to version {} was asked for"),
    Action.RESUME: ("RolloutResumeAsked", "the update to version {} was asked to go on"),
    Action.PROMOTE: ("RolloutPromoteAsked", "all of the update to version {} was asked for"),
}


def acted(world: World, name: str, action: Action, now: datetime) -> Changes:
    """Pause, resume or promote. Raises NotFound, FailedPrecondition."""
    service, rollout = _updated(world, name)
    after = controlled(rollout, action, now)
    reason, why = _ASKED[action]
    return _stored(service, rollout, after, reason, why.format(rollout.version), now)


def planned(world: World, name: str, plan: PlanAsked, now: datetime) -> Changes:
    """The rest of the update in other stages. Raises NotFound, FailedPrecondition."""
    service, rollout = _updated(world, name)
    after = replanned(rollout, plan, now)
    why = f"the update to version {rollout.version} was given another plan"
    return _stored(service, rollout, after, "RolloutPlanSet", why, now)


def way_back(world: World, name: str) -> UpdateAsk:
    """The update that undoes the newest one, in no stages. Raises NotFound, FailedPrecondition."""
    _, rollout = _updated(world, name)
    if is_back(rollout):
        # Also what an undo of before has made: asked for again after a lost answer, it changes nothing.
        raise FailedPrecondition(
            f"the newest update went back to version {rollout.version} already; "
            f"choose one with `easel version {name} N`"
        )
    return UpdateAsk(name, to_version=rollout.from_version, plan=PlanAsked(), undoes=True)


def _updated(world: World, name: str) -> tuple[Service, Rollout]:
    service = changeable(world, name)
    rollout = world.rollouts.get(name)
    if rollout is None:
        raise FailedPrecondition(f"service {name!r} was never updated")
    return service, rollout


def _stored(
    service: Service, before: Rollout, after: Rollout, reason: str, why: str, now: datetime
) -> Changes:
    if before == after:
        return Changes()
    return Changes(put=(after,), events=(service_event(service, reason, why, now),))
