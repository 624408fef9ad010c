"""All policies together: what becomes of one service at one look."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime

from services.autoscaler import cron
from services.autoscaler.cron import Timetable
from services.autoscaler.policies import burst, timed, zero
from services.autoscaler.policies.horizontal import Recommendation, recommend
from services.autoscaler.policies.model import (
    BURST,
    HORIZONTAL,
    LOOK_GAP_S,
    ZERO,
    Decision,
    Observed,
    Policy,
    State,
)
from services.autoscaler.policies.sentences import (
    bound,
    change,
    fewer,
    missing,
    no_metric,
    only_bound,
    shown,
)
from services.autoscaler.policies.stabilise import (
    added_to_largest,
    added_to_smallest,
    mean_ready,
    remembered_ready,
    settling,
    stabilised,
)

_BEGINNING = State()
# A clock that is put right by no more than this disturbs nothing.
_CLOCK_STEP_S = 1.0


@dataclass(frozen=True, slots=True)
class _Look:
    """One look at a service with a policy."""

    policy: Policy
    observed: Observed
    current: int
    now: float
    state: State


def decide(
    policy: Policy | None,
    timetable: Timetable | None,
    observed: Observed,
    current: int,
    now: float,
    state: State = _BEGINNING,
    gap_s: float = LOOK_GAP_S,
) -> tuple[Decision, State]:
    """How many instances there are to be, and what the next look must remember. Pure.

    A schedule goes first; what it sets is looked at by the others from the next look on. Then zero, which is
    about requests; then the metrics. Only one that sleeps is woken before all else: its callers wait for no
    schedule, which may be refused. The windows know nothing before the first look and across a gap between
    two: so nothing is scaled in that was not seen to be too much for a whole window.
    """
    if policy is not None and not current and (woken := zero.wake_sleeping(policy, observed)) is not None:
        return woken, state
    if timetable is not None and timetable.due_from <= now:
        due = cron.due(timetable, datetime.fromtimestamp(now, UTC))
        if due:
            return timed.carry_out(due, policy, current, observed.stopped), state
    if policy is None or observed.stopped:
        return Decision(current, f"{change(current, current)}: no policy is in force"), _BEGINNING
    state = _begun(policy, current, now, state, gap_s)
    return _by_load(_Look(policy, observed, current, now, _with_look(policy, observed, current, now, state)))


def _by_load(look: _Look) -> tuple[Decision, State]:
    policy, current, now = look.policy, look.current, look.now
    woken = None if policy.min else zero.wake(policy, look.observed, current)
    if woken is not None:
        return woken, look.state
    if not current and not policy.min:
        return Decision(0, f"{change(0, 0)}: no request waits", ZERO), look.state
    asked, at_once = _of_window(look), _of_burst(look)
    look = replace(look, state=_with_recommendations(look, asked, at_once))
    held = _held(look, asked.missing)
    slept = None if held else zero.sleep(policy, current, now, look.state.quiet_since)
    decision = slept or _by_metrics(look, asked, at_once, held)
    return replace(decision, measured=asked.measured), look.state


def _by_metrics(look: _Look, asked: Recommendation, at_once: Recommendation, held: str) -> Decision:
    """A burst's number, or that of the windows, within bounds. `held`: why nothing may be scaled in."""
    policy, current = look.policy, look.current
    wanted, by, word, window_s = _steady(look), asked.by, HORIZONTAL, policy.measure_s
    bursting = burst.under_way(policy, look.state.burst_at, look.now)
    if bursting and at_once.wanted > max(wanted, current):
        wanted, by, word, window_s = at_once.wanted, at_once.by, BURST, policy.burst.window_s
    said = shown(by, window_s) if by is not None else no_metric(bool(policy.targets))
    held = held or settling(policy, look.now, look.state)
    if wanted < current and held:
        wanted, said = current, f"{said}; {held}"
    elif wanted < current:
        said = f"{said}; {fewer(wanted, asked.wanted, policy.down_s)}"
    elif wanted == current != asked.wanted:
        longer, span = ("more", policy.up_s) if asked.wanted > current else ("fewer", policy.down_s)
        said = f"{said}; {longer} must be asked for during all of {span} s"
    elif asked.missing and by is not None:
        said = f"{said}; {missing(asked.missing)}"
    after = policy.bounded(wanted)
    if after < current and look.observed.updating:
        after = current
    if wanted == current != after:
        return Decision(after, f"{change(current, after)}: {only_bound(policy, wanted)}", word)
    return Decision(after, f"{change(current, after)}: {said}{bound(policy, wanted)}", word, by)


def _steady(look: _Look) -> int:
    return stabilised(look.policy, look.current, look.now, look.state)


def _held(look: _Look, names: tuple[str, ...]) -> str:
    """Why nothing may be scaled in now; empty when it may."""
    if look.observed.updating:
        return "an update is under way, and nothing is scaled in before its end"
    if burst.under_way(look.policy, look.state.burst_at, look.now):
        ago, whole = look.now - look.state.burst_at, look.policy.measure_s
        return f"the newest burst was {ago:.0f} s ago, and what it brought stays for {whole} s"
    return missing(names) if names else ""


def _of_window(look: _Look) -> Recommendation:
    values = tuple(each.over_window for each in look.observed.readings)
    ready = mean_ready(look.state.ready, look.now, look.policy.measure_s)
    return recommend(look.policy, values, ready, look.observed.ready, look.current)


def _of_burst(look: _Look) -> Recommendation:
    window_s = look.policy.burst.window_s
    values = tuple(each.over_burst for each in look.observed.readings)
    ready = mean_ready(look.state.ready, look.now, window_s)
    return recommend(look.policy, values, ready, look.observed.ready, look.current)


def _with_recommendations(look: _Look, asked: Recommendation, at_once: Recommendation) -> State:
    policy, state = look.policy, look.state
    at = state.burst_at
    if at_once.by is not None:
        at = burst.burst_at(policy, at_once.wanted, look.observed.ready, look.now, state)
    return replace(
        state,
        largest=added_to_largest(state.largest, look.now, asked.wanted, policy.down_s),
        smallest=added_to_smallest(state.smallest, look.now, asked.wanted, policy.up_s),
        burst_at=at,
    )


def _begun(policy: Policy, current: int, now: float, state: State, gap_s: float) -> State:
    """The state, or a new one: at the first look, after a gap, for other windows or targets."""
    same = replace(policy, min=0, max=1)
    if state.policy != same or not -_CLOCK_STEP_S <= now - state.seen <= gap_s:
        return State(since=now, current=current, policy=same)
    return state


def _with_look(policy: Policy, observed: Observed, current: int, now: float, state: State) -> State:
    """The state with this look. More instances than before, whoever set that, count as asked for."""
    largest = state.largest
    if current > state.current:
        largest = added_to_largest(largest, now, current, policy.down_s)
    state = replace(state, calm_since=zero.calm_since(policy, observed, current, now, state))
    return replace(
        state,
        seen=now,
        current=current,
        largest=largest,
        ready=remembered_ready(state.ready, now, observed.ready, policy.measure_s),
        fewer_at=now if current < state.current else state.fewer_at,
        quiet_since=zero.quiet_since(observed, now, state),
    )
