"""Whether a ramp holds, takes its next step, is complete, or goes back. Pure.

Two kinds of bounds: the share of requests that fail, and how much the 99th percentile of latency may lie
above that of the other members in the same time. A step is judged when it has lasted its time and has had
enough requests. It is good when the numbers as they are keep the bounds; it is bad when there is evidence
that they break them (see `evidence.py`), which is looked for all the time; what is neither waits for more
requests. What is not known never lets a ramp go on.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from libs.domain.traffic import Ramp
from services.scheduler.ramp.evidence import clearly_above, slower_than, upper_share
from services.scheduler.traffic.totals import FRESH_FOR

_TAIL = 0.99
# Gateways report every two seconds while they are asked to.
_FIRST_WORD = timedelta(seconds=6)


class Counted(Protocol):
    """What was counted of requests in a span of time."""

    @property
    def requests(self) -> int: ...
    @property
    def errors(self) -> int: ...
    @property
    def latency(self) -> Mapping[float, int]: ...
    @property
    def error_rate(self) -> float: ...
    def quantile(self, q: float) -> float | None: ...
    def fresh(self, now: datetime) -> bool: ...


class Move(StrEnum):
    """What becomes of a ramp."""

    HOLD = "hold"
    STEP = "step"
    COMPLETE = "complete"
    BACK = "back"


@dataclass(frozen=True)
class Verdict:
    """The move, and the sentence why."""

    move: Move
    why: str


@dataclass(frozen=True)
class Standing:
    """How the group stands. `lost` is why the member can be on its way no longer, empty while it can.

    `since` is when counting for this step began. `member` and `others` are what was counted since then, None
    where that is not known; `heard` is when it was known last. `compared` is what the others had in the last
    step in which they had requests.
    """

    since: datetime
    lost: str = ""
    ready: int = 1
    others: int = 1
    others_ready: int = 1
    member: Counted | None = None
    rest: Counted | None = None
    compared: Counted | None = None
    heard: datetime | None = None


@dataclass(frozen=True)
class _Judged:
    """One bound: whether it is clearly broken, whether it is kept, and how it stands."""

    broken: bool
    kept: bool
    says: str


def decide(ramp: Ramp, standing: Standing, now: datetime) -> Verdict:
    """Safe to ask at any time, and as often as one likes."""
    if standing.lost:
        return Verdict(Move.BACK, standing.lost)
    if not standing.others:
        # Before all else: going back would leave nobody to answer for the group.
        return Verdict(Move.COMPLETE, "no other member takes requests of the group any more")
    if not standing.ready:
        return Verdict(Move.BACK, "it has no ready instance any more")
    member = standing.member
    if member is None and now - standing.since <= _FIRST_WORD:
        return Verdict(Move.HOLD, f"at {_percent(ramp)}: waiting for the first numbers of the gateways")
    if member is None and standing.heard is not None and now - standing.heard <= FRESH_FOR:
        return Verdict(Move.HOLD, f"at {_percent(ramp)}: waiting for the numbers of a further gateway")
    if member is None or not member.fresh(now):
        return Verdict(Move.HOLD, "its requests are not known: no gateway has told numbers lately")
    judged = [j for j in (_errors(ramp, member), _slowness(ramp, standing, member, now)) if j is not None]
    if broken := [j.says for j in judged if j.broken]:
        return Verdict(Move.BACK, f"at {_percent(ramp)}: {_and(broken)}")
    if why := _unready(ramp, standing, member, now):
        return Verdict(Move.HOLD, why)
    if doubtful := [j.says for j in judged if not j.kept]:
        return Verdict(Move.HOLD, f"{_and(doubtful)}; waiting for more requests to tell")
    last = ramp.step == len(ramp.steps) - 1
    why = f"{_percent(ramp)} went well: {_and([j.says for j in judged])}"
    return Verdict(Move.COMPLETE if last else Move.STEP, why)


def _unready(ramp: Ramp, standing: Standing, member: Counted, now: datetime) -> str:
    """Why the step cannot be judged yet; empty when it can."""
    if not standing.others_ready and not _alone(ramp):
        return "no other member has a ready instance, so that this one has all requests"
    left = standing.since + timedelta(seconds=ramp.every_s) - now
    if left > timedelta():
        so_far = f"{member.requests} requests so far, {_share(member.error_rate)} of them failed"
        return f"at {_percent(ramp)} for {_span(left)} longer; {so_far}"
    if member.requests < ramp.min_requests:
        so_far = (
            f"{member.requests} requests have come at {_percent(ramp)}, of {ramp.min_requests} to judge by"
        )
        return f"{so_far}; waiting for more"
    return ""


def _errors(ramp: Ramp, member: Counted) -> _Judged | None:
    bound = ramp.max_error_rate
    if bound is None:
        return None
    says = f"{_share(member.error_rate)} of {member.requests} requests failed ({_share(bound)} allowed)"
    return _Judged(clearly_above(member.errors, member.requests, bound), member.error_rate <= bound, says)


def _slowness(ramp: Ramp, standing: Standing, member: Counted, now: datetime) -> _Judged | None:
    if ramp.max_p99_increase is None:
        return None
    others = standing.compared if _alone(ramp) else standing.rest
    if _alone(ramp) and (others is None or others.requests < ramp.min_requests):
        return _Judged(False, True, "no other member has requests to compare its latency with")
    if others is None or not (_alone(ramp) or others.fresh(now)):
        return _Judged(False, False, "the latency of the other members is not known")
    theirs, own = others.quantile(_TAIL), member.quantile(_TAIL)
    if theirs is None or own is None or others.requests < ramp.min_requests:
        few = f"{others.requests} requests, of {ramp.min_requests} to compare with"
        return _Judged(False, False, f"the other members have had {few}")
    allowed = 1 + ramp.max_p99_increase
    highest = others.quantile(upper_share(_TAIL, others.requests)) or theirs
    # One in a hundred is slower than the 99th percentile. More than that are slower than the others' where
    # the member's own 99th percentile lies above it.
    slower = slower_than(member.latency, highest * allowed)
    broken = clearly_above(slower, member.requests, 1 - _TAIL)
    says = (
        f"p99 is {_ms(own)}, that of the others {_ms(theirs)} ({_share(ramp.max_p99_increase)} more allowed)"
    )
    return _Judged(broken, own <= theirs * allowed, says)


def _alone(ramp: Ramp) -> bool:
    """Whether the step leaves the others no requests."""
    return ramp.steps[ramp.step] >= 100


def _percent(ramp: Ramp) -> str:
    return f"{ramp.steps[ramp.step]} %"


def _share(share: float) -> str:
    return f"{share * 100:.3g} %"


def _ms(latency: float) -> str:
    return f"{latency:.3g} ms" if latency < 1000 else f"{latency / 1000:.3g} s"


def _span(left: timedelta) -> str:
    seconds = max(1, round(left.total_seconds()))
    minutes, rest = divmod(seconds, 60)
    if minutes < 2:
        return f"{seconds} s"
    return f"{minutes} min {rest} s" if rest else f"{minutes} min"


def _and(parts: list[str]) -> str:
    return "; ".join(parts)
