"""Going to zero after a quiet time, and waking at the first request. Only where the policy's `min` is 0."""

from math import ceil

from services.autoscaler.policies.metrics import is_total
from services.autoscaler.policies.model import ZERO, Decision, Observed, Policy, Reading, State, Target
from services.autoscaler.policies.sentences import change, name_of, number

# Over so many seconds requests are counted to see whether any came since the look before.
QUIET_WINDOW_S = 10


def quiet_since(policy: Policy, observed: Observed, current: int, now: float, state: State) -> float | None:
    """Since when there has been no request; None where there is one, where that is not known, and where the
    service has just got more instances: those are to have their time."""
    quiet = current and current <= state.current and _is_quiet(policy, observed)
    if not quiet:
        return None
    return now if state.quiet_since is None else state.quiet_since


def wake(policy: Policy, observed: Observed, current: int) -> Decision | None:
    """Instances for requests that wait while none is ready, or that another service's metric asks for."""
    if observed.waiting and not observed.ready:
        wanted, why = _woken(policy, observed.waiting)
        why = f"{observed.waiting} {_requests(observed.waiting)} for the first instance{why}"
    elif not current and (foreign := _asked_by_others(policy, observed)):
        target, value = foreign
        wanted = max(policy.activation, ceil(value / target.threshold))
        why = f"{name_of(target)} is {number(value)} and {number(target.threshold)} is its threshold"
    else:
        return None
    wanted = min(policy.max, wanted)
    return Decision(wanted, f"{change(current, wanted)}: {why}", ZERO) if wanted > current else None


def sleep(policy: Policy, current: int, now: float, since: float | None) -> Decision | None:
    """None at all, once no request has come for the whole grace period."""
    if policy.min or not current or since is None or now - since < policy.grace_s:
        return None
    return Decision(0, f"{change(current, 0)}: no request for {policy.grace_s} s", ZERO)


def _woken(policy: Policy, waiting: int) -> tuple[int, str]:
    """As many as the waiting requests need, if they had come in the time of a burst window."""
    wanted, by = policy.activation, ""
    for target in policy.targets:
        per_instance = {
            "concurrency": target.threshold,
            "qps": target.threshold * policy.burst.window_s,
            "qps1k": target.threshold * policy.burst.window_s / 1000,
        }.get(target.metric)
        if per_instance and not target.service and ceil(waiting / per_instance) > wanted:
            wanted = ceil(waiting / per_instance)
            by = f", and {number(target.threshold)} is the threshold of {target.metric}"
    return wanted, by


def _asked_by_others(policy: Policy, observed: Observed) -> tuple[Target, float] | None:
    """The total of another service that asks for most, if one asks for any."""
    asking = [
        (reading.over_window / target.threshold, target, reading.over_window)
        for target, reading in _totals_of_others(policy, observed)
        if reading.over_window
    ]
    return max(asking, key=lambda each: each[0])[1:] if asking else None


def _is_quiet(policy: Policy, observed: Observed) -> bool:
    return (
        observed.qps == 0
        and observed.in_flight == 0
        and not observed.waiting
        and all(reading.over_window == 0 for _, reading in _totals_of_others(policy, observed))
    )


def _totals_of_others(policy: Policy, observed: Observed) -> list[tuple[Target, Reading]]:
    return [
        (target, reading)
        for target, reading in zip(policy.targets, observed.readings, strict=True)
        if target.service and is_total(target.metric)
    ]


def _requests(count: int) -> str:
    return "request waits" if count == 1 else "requests wait"
