"""Load that comes suddenly: a short window asks for a multiple of what is ready, and is obeyed at once.

Without it, a rise shows in the mean of the whole window only after that window, and instances come when
requests have waited for long. The short window is obeyed for as long as a burst is under way: the first look
at one sees only its beginning. What a burst brought stays until a whole window has passed without another:
the end of a burst is not the end of the load.
"""

from services.autoscaler.policies.model import Policy, State


def burst_at(policy: Policy, asked: int, ready: int, now: float, state: State) -> float:
    """When the newest burst was: now, if the short window asks for so many times what is ready."""
    bursts = policy.burst.enabled and asked * 100 >= policy.burst.threshold_percent * max(1, ready)
    return now if bursts else state.burst_at


def under_way(policy: Policy, at: float, now: float) -> bool:
    """Whether a burst, the newest of which was at that time, is not over yet."""
    return policy.burst.enabled and now - at < policy.measure_s
