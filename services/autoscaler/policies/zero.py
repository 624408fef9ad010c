"""Going to zero after a quiet time, and waking at the first request. Only where the policy's `min` is 0."""

from libs.spec.metric_names import is_total
from services.autoscaler.policies.horizontal import asked_for
from services.autoscaler.policies.model import (
    ZERO,
    Decision,
    Measured,
    Observed,
    Policy,
    Reading,
    State,
    Target,
)
from services.autoscaler.policies.sentences import change, name_of, number

# Over so many seconds requests are counted to see whether any came since the look before.
QUIET_WINDOW_S = 10


def calm_since(policy: Policy, observed: Observed, current: int, now: float, state: State) -> float | None:
    """Since when nothing but the count of requests has spoken against sleep; None while one is in work or
    waits, while that is not known, and where the service has just got more instances: those are to have their
    time."""
    known = observed.qps is not None
    if not (known and current and current <= state.current and _nothing_under_way(policy, observed)):
        return None
    return now if state.calm_since is None else state.calm_since


def quiet_since(observed: Observed, now: float, state: State) -> float | None:
    """Since when there has been no request; None where there is one, or that is not known.

    That none came is seen in a window that was quiet all along: so it counts from where that begins, but from
    no earlier than all else has been calm.
    """
    if observed.qps != 0 or state.calm_since is None:
        return None
    return max(now - QUIET_WINDOW_S, state.calm_since) if state.quiet_since is None else state.quiet_since


def wake(policy: Policy, observed: Observed, current: int) -> Decision | None:
    """Instances for requests that wait while none is ready, or that another service's metric asks for."""
    if observed.waiting and not observed.ready:
        wanted, why = _woken(policy, observed.waiting)
        why = f"{observed.waiting} {_requests(observed.waiting)} for the first instance{why}"
        by = _waiting(observed.waiting)
    elif not current and (foreign := _asked_by_others(policy, observed)):
        target, value = foreign
        wanted = max(policy.activation, asked_for(value / target.threshold, 0))
        why = f"{name_of(target)} is {number(value)} and {number(target.threshold)} is its threshold"
        by = Measured(name_of(target), value, target.threshold)
    else:
        return None
    wanted = min(policy.max, wanted)
    if wanted <= current:
        return None
    return Decision(wanted, f"{change(current, wanted)}: {why}", ZERO, by)


def wake_sleeping(policy: Policy, observed: Observed) -> Decision | None:
    """Instances for requests that wait for one that has none at all."""
    if policy.min or observed.stopped or not observed.waiting:
        return None
    return wake(policy, observed, 0)


def sleep(policy: Policy, current: int, now: float, since: float | None) -> Decision | None:
    """None at all, once no request has come for the whole grace period."""
    if policy.min or not current or since is None or now - since < policy.grace_s:
        return None
    return Decision(0, f"{change(current, 0)}: no request for {policy.grace_s} s", ZERO, _waiting(0))


def _woken(policy: Policy, waiting: int) -> tuple[int, str]:
    """As many as the waiting requests need, if they had come in the time of a burst window."""
    wanted, by = policy.activation, ""
    for target in policy.targets:
        per_instance = {
            "concurrency": target.threshold,
            "qps": target.threshold * policy.burst.window_s,
            "qps1k": target.threshold * policy.burst.window_s / 1000,
        }.get(target.metric)
        if per_instance and not target.service and (needed := asked_for(waiting / per_instance, 0)) > wanted:
            wanted = needed
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


def _waiting(requests: int) -> Measured:
    """As it is told: no threshold stands against it."""
    return Measured("waiting", float(requests), 0.0)


def _nothing_under_way(policy: Policy, observed: Observed) -> bool:
    return (
        observed.in_flight == 0
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
