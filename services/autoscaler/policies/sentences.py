"""How decisions are said: one line, with the numbers."""

from services.autoscaler.policies.model import Measured, Policy, Target


def number(value: float) -> str:
    """As people read it: three digits, or all that stand before the point."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def instances(count: int) -> str:
    """A number of instances in words."""
    return "1 instance" if count == 1 else f"{count} instances"


def change(before: int, after: int) -> str:
    """What a decision changes, as its sentence begins."""
    return f"{before} → {instances(after)}" if before != after else f"stays at {instances(after)}"


def name_of(target: Target) -> str:
    """A metric as sentences and reports name it."""
    return f"{target.metric} of {target.service}" if target.service else target.metric


def shown(measured: Measured, window_s: int) -> str:
    """A metric beside its threshold."""
    value = "missing" if measured.value is None else number(measured.value)
    return (
        f"{measured.metric} is {value} for each instance over {window_s} s "
        f"and {number(measured.threshold)} is its threshold"
    )


def fewer(wanted: int, asked: int, window_s: int) -> str:
    """Why so many may stay and no fewer, where the newest look asked for `asked`."""
    if wanted == asked:
        return f"nothing asked for more in {window_s} s"
    return f"the most that was asked for in {window_s} s is {wanted}"


def missing(names: tuple[str, ...]) -> str:
    """That metrics are missing, and what follows from it."""
    return f"{' and '.join(names)} {'is' if len(names) == 1 else 'are'} missing, so nothing is scaled in"


def no_metric(some: bool) -> str:
    """Why no metric decided; `some`: whether the policy has any."""
    return "no metric is known" if some else "no metric is to decide"


def bound(policy: Policy, wanted: int) -> str:
    """Which bound keeps a number from what was asked for, at the end of a sentence."""
    which = only_bound(policy, wanted)
    return f"; {instances(wanted)} would do, and {which}" if which else ""


def only_bound(policy: Policy, wanted: int) -> str:
    """Which bound a number is beyond; empty when it is within both."""
    if wanted > policy.max:
        return f"at most {policy.max} {_are(policy.max)} allowed"
    if wanted < policy.min:
        return f"at least {policy.min} {_are(policy.min)} to be there"
    return ""


def _are(count: int) -> str:
    return "is" if count == 1 else "are"
