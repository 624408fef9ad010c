"""A member of a group on its way to the group's requests: what the options ask for, and following it."""

import asyncio
import time
from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

import typer

from cli.output import err
from cli.phases import Outcome
from cli.quantities import length_of, share_of, share_text
from cli.traffic_views import step_text, weight_text
from easel_sdk.errors import DeadlineExceeded, FailedPrecondition, Unavailable
from easel_sdk.types import Ramp, RampPhase, RampPlan, Service, TrafficState

if TYPE_CHECKING:
    from easel_sdk import AsyncEasel

_LOOK_EVERY = 0.5
# How often a step tells what it waits for.
_WAITING_EVERY = 10.0
# How often it is said again where it is still the same.
_STILL_EVERY = 60.0
# A scheduler that is away for less is waited for: a ramp goes on for long.
_PATIENCE = 60.0


def ramp_plan_of(steps: str, every: str, max_error_rate: str, max_p99: str, min_requests: int) -> RampPlan:
    """The plan that the options ask for. Ends the command with a usage error where they make no sense."""
    if not every:
        raise typer.BadParameter("--ramp needs --every, such as --every 2m")
    if not max_error_rate and not max_p99:
        raise typer.BadParameter("--ramp needs a bound: --max-error-rate, such as 1%, --max-p99, or both")
    return RampPlan(
        steps=_steps(steps),
        every=_every(every),
        max_error_rate=_error_rate(max_error_rate) if max_error_rate else None,
        max_p99_increase=share_of("--max-p99", max_p99) if max_p99 else None,
        min_requests=min_requests,
    )


def _steps(text: str) -> tuple[int, ...]:
    steps = tuple(_step(each) for each in text.split(","))
    if any(one >= other for one, other in pairwise(steps)):
        raise typer.BadParameter(f"--ramp: got {text!r}, expected each percent larger than the one before")
    return steps


def _every(text: str) -> timedelta:
    every = length_of("--every", text)
    if not timedelta(seconds=1) <= every <= timedelta(days=30):
        raise typer.BadParameter(f"--every: got {text!r}, expected 1s to 30d")
    return every


def _error_rate(text: str) -> float:
    share = share_of("--max-error-rate", text)
    if share >= 1:
        raise typer.BadParameter(f"--max-error-rate: got {text!r}, expected less than 100%, such as 1%")
    return share


def _step(text: str) -> int:
    number = text.strip().removesuffix("%")
    if not number.isdecimal() or not 1 <= int(number) <= 100:
        raise typer.BadParameter(f"--ramp: got {text!r}, expected percents from 1 to 100, such as 1,5,25,100")
    return int(number)


def released_text(service: Service) -> str:
    """What the service takes of its group's requests from now on."""
    if service.traffic_state is TrafficState.STANDALONE:
        return f"{service.name} takes no requests of {service.group}, only its own"
    amount = weight_text(service.weight)
    takes = f"takes {share_text(service.traffic_share)} of the requests of {service.group}"
    return f"{service.name} {takes}: grouping, weight {amount}"


def ended(asked: Ramp, now: Ramp | None) -> Outcome | None:
    """The end of the ramp that was `asked` for, or None while it goes on. Pure."""
    if now is None or (now.service, now.started_at) != (asked.service, asked.started_at):
        return Outcome(False, "another ramp has begun meanwhile")
    if now.phase is RampPhase.RUNNING:
        return None
    if now.phase is RampPhase.COMPLETED:
        return Outcome(True, now.why)
    went = (
        "it went back by itself" if now.phase is RampPhase.WENT_BACK else f"it was ended at {step_text(now)}"
    )
    return Outcome(False, f"{went}: {now.why}" if now.why else went)


class Told:
    """Shows each step at once, what it waits for where that differs, and now and then that it still does."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._began = clock, clock()
        self._next = self._again = 0.0
        self._step: object = None
        self.sentence = ""

    def ramp(self, ramp: Ramp | None) -> None:
        now = self.waited()
        sentence = "" if ramp is None else f"{step_text(ramp)}, {ramp.phase}: {ramp.why}"
        step = None if ramp is None else (ramp.step, ramp.phase)
        differs = sentence != self.sentence and (step != self._step or now >= self._next)
        if differs or now >= self._again:
            self._step, self._next, self.sentence = step, now + _WAITING_EVERY, sentence
            self._again = now + _STILL_EVERY
            err().print(f"{now:7.1f} s   {sentence}", markup=False)

    def waited(self) -> float:
        return self._clock() - self._began


async def follow_ramp(easel: "AsyncEasel", asked: Ramp, timeout: float | None) -> Outcome:
    """Shows each step until the ramp's end. Raises `DeadlineExceeded` after `timeout` seconds."""
    told, heard = Told(), time.monotonic()
    while True:
        try:
            ramp = (await easel.groups.get(asked.group)).ramp
            heard = time.monotonic()
        except Unavailable:
            if time.monotonic() - heard > _PATIENCE:
                raise
        else:
            told.ramp(ramp)
            if (outcome := ended(asked, ramp)) is not None:
                return outcome
        if timeout is not None and told.waited() > timeout:
            late = f"the ramp of {asked.service} is not over after {timeout:g} s"
            raise DeadlineExceeded(f"{late}: {told.sentence}")
        await asyncio.sleep(_LOOK_EVERY)


async def running_ramp(easel: "AsyncEasel", name: str) -> Ramp:
    """The ramp of this service that is under way or was the last. Raises `FailedPrecondition`."""
    service = await easel.services.get(name)
    ramp = (await easel.groups.get(service.group)).ramp if service.group else None
    if ramp is None or ramp.service != name:
        raise FailedPrecondition(
            f"{name} has no ramp; `easel release {name} --ramp STEPS --every TIME` begins one"
        )
    return ramp
