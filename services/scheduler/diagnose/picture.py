"""All that a diagnosis is made from, at one moment."""

from collections.abc import Callable, Container
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.scheduler.gateways.standing import Standing
from services.scheduler.live import Now
from services.scheduler.world import World


@dataclass(frozen=True)
class Picture:
    """`lagging` names the gateways that may still route to an instance which left the routes; `brake` is why
    no node is given up on, empty when that is not so; `linked` are the nodes whose agents are connected,
    `gateway` says how it stands with a gateway, `autoscaler_away_since` is None while that one is there."""

    world: World
    live: Callable[[str], Now]
    lagging: Callable[[str], tuple[str, ...]]
    linked: Container[str]
    gateway: Callable[[str], Standing]
    brake: str
    autoscaler_away_since: datetime | None
    delete_idle_after: timedelta
    now: datetime
