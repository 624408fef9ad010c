"""Looks at the ramps every second, and carries out what their numbers come to."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Protocol

from libs.domain.states import RampPhase
from libs.domain.traffic import Ramp
from services.scheduler.groups.picture import ready_of
from services.scheduler.ledger import Ledger
from services.scheduler.ramp.decide import Move, Standing, decide
from services.scheduler.ramp.moves import moved, others_of
from services.scheduler.traffic.totals import Totals
from services.scheduler.world import World


class Numbers(Protocol):
    """Where counts come from, of the services that are watched."""

    def watch(self, who: str, services: Iterable[str]) -> None: ...
    def totals(self, service: str) -> Totals | None: ...


@dataclass
class _Window:
    """Since when a step of a ramp is counted, beside which others, and what each had counted by then."""

    ramp: datetime
    step: int
    others: frozenset[str]
    since: datetime
    begun: dict[str, Totals] = field(default_factory=dict)
    # Of the others in the step before, for the one in which they have no requests.
    compared: Totals | None = None
    # When it was last known what the member has counted.
    heard: datetime | None = None

    @property
    def of(self) -> tuple[datetime, int]:
        """Which step of which ramp it is about."""
        return self.ramp, self.step


class Ramps:
    """What is counted for a step is kept in memory: after a restart a step goes on, and counts anew."""

    def __init__(self, ledger: Ledger, numbers: Numbers, clock: Callable[[], datetime]) -> None:
        self._ledger, self._numbers, self._clock = ledger, numbers, clock
        self._windows: dict[str, _Window] = {}
        # What the newest look found, and for which step of which ramp.
        self._said: dict[str, tuple[tuple[datetime, int], str]] = {}

    def said(self, ramp: Ramp) -> str:
        """The newest sentence about a ramp; what it waits for while it holds."""
        about, sentence = self._said.get(ramp.service, (None, ""))
        fits = ramp.phase is RampPhase.RUNNING and about == (ramp.started_at, ramp.step)
        return sentence if fits else ramp.why

    async def look(self) -> None:
        """One pass. Raises Unavailable while the database is away; the next pass finds the same again."""
        world, now = self._ledger.world, self._clock()
        running = [ramp for ramp in world.ramps.values() if ramp.phase is RampPhase.RUNNING]
        self._follow(world, running, now)
        for ramp in running:
            verdict = decide(ramp, self._standing(world, ramp, now), now)
            if verdict.move is Move.HOLD:
                self._said[ramp.service] = self._windows[ramp.service].of, verdict.why
                continue
            self._said.pop(ramp.service, None)
            await self._ledger.change(partial(moved, ramp=ramp, verdict=verdict, now=now))

    def _follow(self, world: World, running: list[Ramp], now: datetime) -> None:
        """Watches the members of the groups concerned, and begins a window where the step or the others are
        not what they were."""
        known, self._windows = self._windows, {}
        watched: set[str] = set()
        for ramp in running:
            others, window = others_of(world, ramp), known.get(ramp.service)
            watched |= {ramp.service, *others}
            if window is not None and window.ramp != ramp.started_at:
                window = None
            if window is None or (window.step, window.others) != (ramp.step, others):
                compared = self._compared(window, ramp)
                window = _Window(ramp.started_at, ramp.step, others, now, compared=compared)
            self._windows[ramp.service] = window
        self._said = {name: why for name, why in self._said.items() if name in self._windows}
        self._numbers.watch("ramps", watched)

    def _compared(self, before: _Window | None, ramp: Ramp) -> Totals | None:
        if before is None:
            return None
        return before.compared if before.step == ramp.step else self._counted(before, before.others)

    def _standing(self, world: World, ramp: Ramp, now: datetime) -> Standing:
        window = self._windows[ramp.service]
        for name in (ramp.service, *window.others):
            totals = self._numbers.totals(name)
            if totals is not None and totals.at >= window.since:
                window.begun.setdefault(name, totals)
        member = self._counted(window, [ramp.service])
        window.heard = window.heard if member is None else member.at
        return Standing(
            since=window.since,
            lost=lost(world, ramp),
            ready=ready_of(world, ramp.service),
            others=len(window.others),
            others_ready=sum(ready_of(world, name) for name in window.others),
            member=member,
            rest=self._counted(window, window.others),
            compared=window.compared,
            heard=window.heard,
        )

    def _counted(self, window: _Window, services: Iterable[str]) -> Totals | None:
        """What these services have counted in a window, together; None unless it is known of each."""
        whole: Totals | None = None
        for name in sorted(services):
            begun, totals = window.begun.get(name), self._numbers.totals(name)
            if begun is None or totals is None:
                return None
            part = totals.since(begun)
            # As old as the oldest part of it.
            whole = part if whole is None else replace(whole.plus(part), at=min(whole.at, part.at))
        return whole


def lost(world: World, ramp: Ramp) -> str:
    """Why a member can be on its ramp no longer; empty while it can. Pure."""
    service = world.services.get(ramp.service)
    if service is None or service.deleting:
        return "it is being deleted"
    if service.group != ramp.group:
        return f"it has left group {ramp.group!r}"
    if service.stopped or not service.wanted:
        return "it was stopped"
    rollout = world.rollouts.get(ramp.service)
    # An update that replaced nothing was over the moment it was asked for.
    if rollout is None or rollout.started_at < ramp.started_at or rollout.finished_at == rollout.started_at:
        return ""
    if rollout.because:
        return f"it went back to version {rollout.version} by itself: {rollout.because}"
    return f"it was updated to version {rollout.version}; start a ramp for that when it is ready"
