"""What a browser shows in place of a token: a cookie that is made of one and changes every twelve hours."""

import hashlib
import hmac
from datetime import datetime, timedelta

# A cookie is good in the period it was made in and in the next one.
PERIOD = timedelta(hours=12)


def cookie_name(service: str) -> str:
    """The cookie that opens a service's pages."""
    return f"easel-{service}"


def period_at(now: datetime) -> int:
    """The number of the period that `now` is in."""
    return int(now.timestamp() // PERIOD.total_seconds())


def periods(now: datetime) -> tuple[int, int]:
    """The periods of which cookies are good: this one and the one before."""
    current = period_at(now)
    return current, current - 1


def session_value(token: str, service: str, period: int) -> str:
    """What the cookie holds: HMAC-SHA256 in hex, keyed by the token. The token cannot be had from it."""
    return hmac.new(
        token.encode(), f"easel-session\n{service}\n{period}".encode(), hashlib.sha256
    ).hexdigest()
