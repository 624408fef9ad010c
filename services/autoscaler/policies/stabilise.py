"""Windows that keep the size from following every number: a change must have been asked for all the time."""

from services.autoscaler.policies.model import Marks, Policy, State


def added_to_largest(marks: Marks, now: float, wanted: int, window_s: float) -> Marks:
    """With a new recommendation, and without those that can no longer be the largest of the window."""
    return (*(each for each in marks if each[1] > wanted and each[0] >= now - window_s), (now, wanted))


def added_to_smallest(marks: Marks, now: float, wanted: int, window_s: float) -> Marks:
    """With a new recommendation, and without those that can no longer be the smallest of the window."""
    return (*(each for each in marks if each[1] < wanted and each[0] >= now - window_s), (now, wanted))


def stabilised(policy: Policy, current: int, now: float, state: State) -> int:
    """What all of the window asks for: more only as far as every recommendation asks for more, fewer only as
    far as none asked for more than that. Until a window is known as a whole, nothing changes."""
    known = now - state.since
    more, fewer = state.smallest[0][1], state.largest[0][1]
    if more > current and known >= policy.up_s:
        return more
    if fewer < current and known >= policy.down_s:
        return fewer
    return current


def settling(policy: Policy, now: float, state: State) -> str:
    """Why the metrics take nothing away yet: those that are left are measured first. Empty when they may."""
    if now - state.fewer_at >= policy.measure_s:
        return ""
    ago, whole = now - state.fewer_at, policy.measure_s
    return f"instances left {ago:.0f} s ago, and those that stay are measured for {whole} s"


def remembered_ready(marks: Marks, now: float, ready: int, window_s: float) -> Marks:
    """With how many are ready from now on, and without what ended before the window began."""
    if not marks or marks[-1][1] != ready:
        marks = (*marks, (now, ready))
    old = sum(1 for at, _ in marks[1:] if at <= now - window_s)
    return marks[old:]


def mean_ready(marks: Marks, now: float, window_s: float) -> float:
    """How many were ready over the last so many seconds, as far as that is known."""
    begin = max(marks[0][0], now - window_s)
    if now <= begin:
        return marks[-1][1]
    ends = (*(at for at, _ in marks[1:]), now)
    held = (count * max(0.0, end - max(begin, at)) for (at, count), end in zip(marks, ends, strict=True))
    return sum(held) / (now - begin)
