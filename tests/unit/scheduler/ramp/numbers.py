"""What might have been counted of a member's requests."""

import math
from datetime import datetime

from services.scheduler.traffic.totals import Totals
from tests.support.builders import NOON

# As finely as the tests need.
BOUNDS = (10.0, 20.0, 50.0, 100.0, 110.0, 120.0, 150.0, 200.0, 500.0, 1000.0, math.inf)


def counted(
    requests: int, failed: int = 0, slow: int = 0, slow_ms: float = 500.0, at: datetime = NOON
) -> Totals:
    """All took 50 to 100 ms but `slow` ones, which took up to `slow_ms`."""
    latency = dict.fromkeys(BOUNDS, 0)
    latency[100.0] += requests - slow
    latency[slow_ms] += slow
    return Totals(at, requests, failed, latency)
