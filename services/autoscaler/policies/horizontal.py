"""How many instances the metrics ask for: what each should show, against what they show."""

from dataclasses import dataclass
from math import ceil, inf

from libs.spec.metric_names import is_total
from services.autoscaler.policies.model import Measured, Policy, Target
from services.autoscaler.policies.sentences import name_of

# A metric within a tenth of its threshold changes nothing.
TOLERANCE = 0.1
_ROUNDING = 1e-9
# More than anybody may have, and a number still: what a tiny threshold makes of a load may be none.
_ENDLESS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Recommendation:
    """What the metrics ask for. `by` is the one that asks for most, None where all are missing."""

    wanted: int
    by: Measured | None
    measured: tuple[Measured, ...]
    missing: tuple[str, ...]


def recommend(
    policy: Policy, values: tuple[float | None, ...], ready: float, ready_now: int, current: int
) -> Recommendation:
    """The largest number that a metric asks for, at least 1; bounds are not looked at.

    `values` are in the order of the targets; `ready` is how many instances were ready while they were
    measured. Instances that have yet to start show nothing and ask for none beside them: what counts is what
    all wanted ones, `current`, could carry. Where a metric is missing, it is no fewer than there are.
    """
    wanted, by, most = 0, None, -inf
    measured, missing = [], []
    for target, value in zip(policy.targets, values, strict=True):
        judged = _judged(target, value, ready_now)
        measured.append(judged)
        if value is None:
            missing.append(judged.metric)
            continue
        total = is_total(target.metric)
        load = value if total else ready * value
        asked = asked_for(load / target.threshold, current)
        if not total and ready_now < current and value >= target.threshold * (1 - TOLERANCE):
            asked = max(asked, current)  # those that have yet to start are needed
        if by is None or (asked, load / target.threshold) > (wanted, most):
            wanted, by, most = asked, judged, load / target.threshold
    if missing or by is None:
        wanted = max(wanted, current)
    return Recommendation(max(1, wanted), by, tuple(measured), tuple(missing))


def asked_for(instances: float, current: int) -> int:
    """Whole instances for a load that so many would carry at their threshold; `current` within a tenth."""
    if current and abs(instances / current - 1) <= TOLERANCE + _ROUNDING:
        return current
    return ceil(max(0.0, min(_ENDLESS, instances)) - _ROUNDING)


def _judged(target: Target, value: float | None, ready: int) -> Measured:
    if value is not None and is_total(target.metric):
        value /= max(1, ready)
    return Measured(name_of(target), value, target.threshold)
