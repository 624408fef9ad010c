"""How long to wait before what failed is tried again."""

from datetime import datetime, timedelta

FIRST_DELAY = timedelta(seconds=10)
LONGEST_DELAY = timedelta(minutes=5)


def back_off(failures: int) -> timedelta:
    """The wait after so many failures in a row: none after the first, then 10 s, doubling up to 5 min."""
    if failures <= 1:
        return timedelta(0)
    return min(LONGEST_DELAY, FIRST_DELAY * (1 << min(failures - 2, 10)))


def due(failed_at: datetime, delay: timedelta, now: datetime) -> datetime:
    """When it is tried again: now, if it failed in the future, by a clock that was set back since."""
    return failed_at + delay if failed_at <= now else now


def shown(delay: timedelta) -> str:
    """A delay in words."""
    seconds = int(delay.total_seconds())
    return f"{seconds} s" if seconds < 120 or seconds % 60 else f"{seconds // 60} min"
