"""What a plan is made from: one service with everything that bears on its instances, at one moment."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from libs.domain.records import GpuFence, Instance, Node, Rollout, Service
from libs.spec.metadata import DEFAULT_PROGRESS_DEADLINE_S


@dataclass(frozen=True)
class Situation:
    """`fences` are by node and UUID, also lifted ones; `auto_rollback` and `progress_deadline`
    are what the version in force says.

    `makes_room` says whether one that waits for room would find it once this instance is gone; `port_holder`
    is the other instance of its node that listens on the port that this instance was given, empty for none.
    `rank_of` is the place of an instance's tier, the higher the sooner it is given up; `leave_within` is how
    long it takes an instance to leave without a request being cut.
    """

    service: Service
    rollout: Rollout | None
    instances: tuple[Instance, ...]
    nodes: Mapping[str, Node]
    fences: Mapping[tuple[str, str], GpuFence]
    surge: int
    unavailable: int
    now: datetime
    auto_rollback: bool = False
    progress_deadline: timedelta = timedelta(seconds=DEFAULT_PROGRESS_DEADLINE_S)
    makes_room: Callable[[Instance], bool] = lambda _: True
    port_holder: Callable[[Instance], str] = lambda _: ""
    rank_of: Callable[[Instance], int] = lambda _: 0
    leave_within: timedelta = timedelta()
    # Whether it is in service without any instance, too: one is started when a request comes.
    sleeps: bool = False

    @property
    def wanted(self) -> int:
        """How many instances there are to be."""
        return 0 if self.service.stopped or self.service.deleting else self.service.wanted

    @property
    def update(self) -> Rollout | None:
        """The update that is under way."""
        return update_of(self.service, self.rollout)


def update_of(service: Service, rollout: Rollout | None) -> Rollout | None:
    """The service's update, while it is under way: the record may be of one that is finished."""
    if rollout is None or rollout.finished_at is not None or rollout.version != service.version:
        return None
    return rollout
