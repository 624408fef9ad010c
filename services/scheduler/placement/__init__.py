"""Placement: which node an instance goes to. Pure decisions on a snapshot; no I/O."""

from services.scheduler.placement.ask import Ask, Held, Placement, Spot, Spread, Unplaced
from services.scheduler.placement.decide import place, place_all
from services.scheduler.placement.refusal import verdicts
from services.scheduler.placement.snapshot import Snapshot

__all__ = [
    "Ask",
    "Held",
    "Placement",
    "Snapshot",
    "Spot",
    "Spread",
    "Unplaced",
    "place",
    "place_all",
    "verdicts",
]
