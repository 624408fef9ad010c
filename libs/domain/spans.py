"""Lengths of time as people write them. Pure."""

from datetime import timedelta

_UNITS = ((86_400, "d"), (3600, "h"), (60, "m"), (1, "s"))


def span_text(span: timedelta) -> str:
    """In the largest unit that is whole, such as 30d, 2h, 90s; parts of a second as 0.5s."""
    seconds = span.total_seconds()
    for size, unit in _UNITS:
        if seconds and seconds % size == 0:
            return f"{seconds / size:.0f}{unit}"
    return f"{seconds:.6g}s" if abs(seconds) < 1000 else f"{seconds:.0f}s"
