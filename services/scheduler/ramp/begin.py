"""How a ramp begins: the plan that a user asks for, and who may be on one. Pure decisions for the ledger."""

import math
from dataclasses import dataclass, replace
from datetime import datetime

from libs.db.changes import Changes
from libs.domain.errors import FailedPrecondition, InvalidRequest
from libs.domain.records import Service
from libs.domain.states import SafetyLock, TrafficState
from libs.domain.traffic import Ramp
from services.scheduler.admin.writing import changeable, service_event
from services.scheduler.groups.picture import ready_of, running_ramp, weights_of
from services.scheduler.world import World

MIN_REQUESTS = 50
LONGEST_STEP_S = 30 * 24 * 3600
_MOST_REQUESTS = 1_000_000_000


@dataclass(frozen=True)
class RampAsked:
    """The plan of a ramp. A bound is None where none is asked for, but not both. Raises InvalidRequest."""

    steps: tuple[int, ...]
    every_s: int
    max_error_rate: float | None = None
    max_p99_increase: float | None = None
    min_requests: int = MIN_REQUESTS

    def __post_init__(self) -> None:
        growing = all(one < other for one, other in zip((0, *self.steps), (*self.steps, 101), strict=True))
        if not self.steps or not growing:
            raise InvalidRequest(
                "plan.steps", list(self.steps), "percents from 1 to 100, each larger than the one before"
            )
        if not 1 <= self.every_s <= LONGEST_STEP_S:
            raise InvalidRequest("plan.every", f"{self.every_s} s", "1 second to 30 days")
        if self.max_error_rate is None and self.max_p99_increase is None:
            raise InvalidRequest("plan", "no bound", "max_error_rate, max_p99_increase or both")
        if self.max_error_rate is not None and not 0 <= self.max_error_rate < 1:
            raise InvalidRequest("plan.max_error_rate", self.max_error_rate, "0 or more, below 1")
        increase = self.max_p99_increase
        if increase is not None and not (increase >= 0 and math.isfinite(increase)):
            raise InvalidRequest("plan.max_p99_increase", increase, "0 or more, such as 0.2 for 20 %")
        if not 1 <= self.min_requests <= _MOST_REQUESTS:
            raise InvalidRequest("plan.min_requests", self.min_requests, f"1 to {_MOST_REQUESTS}")


def started(world: World, name: str, asked: RampAsked, now: datetime) -> Changes:
    """The first step is in force at once. Raises NotFound, FailedPrecondition."""
    service = changeable(world, name, "it cannot be put on a ramp")
    if not service.group:
        raise FailedPrecondition(f"service {name!r} is in no group; name one with metadata.group")
    if (running := running_ramp(world, service.group)) is not None:
        raise FailedPrecondition(on_its_way(running))
    rollout = world.rollouts.get(name)
    if rollout is not None and rollout.finished_at is None:
        raise FailedPrecondition(
            f"service {name!r} is being updated to version {rollout.version}; "
            "a ramp judges one version, so start it when that is done"
        )
    if not ready_of(world, name):
        raise FailedPrecondition(f"service {name!r} has no ready instance that could take requests")
    _refuse_alone(world, service)
    known = world.ramps.get(name)
    ramp = Ramp(
        service=name,
        group=service.group,
        steps=asked.steps,
        every_s=asked.every_s,
        started_at=now,
        stepped_at=now,
        max_error_rate=asked.max_error_rate,
        max_p99_increase=asked.max_p99_increase,
        min_requests=asked.min_requests,
        why="it has just begun",
        before_state=service.traffic_state,
        before_weight=service.weight,
        revision=known.revision if known else 0,
    )
    taking = replace(service, traffic_state=TrafficState.GROUPING, updated_at=now)
    steps = ", ".join(map(str, asked.steps))
    why = f"{asked.steps[0]} % of the requests of group {service.group!r}, on its way over {steps} %"
    return Changes((ramp, taking), (), (service_event(service, "RampStarted", why, now),))


def on_its_way(ramp: Ramp) -> str:
    """Why something cannot be done while a ramp is under way, and how to end it."""
    return (
        f"{ramp.service!r} is on a ramp in group {ramp.group!r}; end it first: "
        f"`easel release {ramp.service} --end` leaves it where it is, `--end --back` takes it back"
    )


def _refuse_alone(world: World, service: Service) -> None:
    group = world.group(service.group)
    weights = weights_of(world, group, None)
    if not any(weight for name, weight in weights.items() if name != service.name):
        raise FailedPrecondition(
            f"no other member of group {group.name!r} takes requests, so there is nothing to take over step "
            f"by step; release {service.name!r} at once"
        )
    for name in weights:
        if world.service(name).safety_lock is SafetyLock.ALL:
            changeable(world, name, "the ramp could not set its weight at the end")
