"""When numbers say that a bound is broken, and not only that chance had a bad moment. Pure.

A ramp is looked at every second, and a test that is right 95 times in 100 is wrong sooner or later when it is
asked every second. So the evidence is one that may be asked at any time: the likelihood of what was counted
under larger failure rates, divided by its likelihood under the bound, averaged over some larger rates
(Wald's sequential likelihood ratio, 1945, over a mixture of alternatives, Robbins 1970). While the true rate
is within the bound this is a supermartingale of mean 1 at most, so by Ville's inequality (1939) it ever
reaches 1/0.05 = 20 in no more than 5 of 100 cases, however often and at whichever moments one looks.
"""

import math
from collections.abc import Mapping

WRONG_AT_MOST = 0.05
# The larger rates, as parts of the way from the bound to 1: halves of halves, so that a service that fails
# altogether and one that fails twice as often as it may are both found soon.
_WAY = tuple(2.0**-n for n in range(1, 11))

# How many requests took at most so long (ms), and longer than the bound before; the last bound is infinite.
Latency = Mapping[float, int]


def clearly_above(failed: int, requests: int, bound: float) -> bool:
    """Whether the true share of failures is above `bound`, at 95 %, however often this was asked before.

    Against a bound of 1 %, one failure of one request is no evidence, nor is one of three; two of two are,
    and six of a hundred. A bound of 0 allows no failure at all.
    """
    if failed <= 0 or bound >= 1:
        return False
    if bound <= 0:
        return True
    failed = min(failed, requests)
    return _log_mean([_log_ratio(failed, requests, bound, way) for way in _WAY]) >= -math.log(WRONG_AT_MOST)


def slower_than(latency: Latency, limit: float) -> int:
    """How many requests took longer than `limit` ms; of the bucket that it lies in, an even part."""
    slower, lower = 0.0, 0.0
    for upper in sorted(latency):
        count = latency[upper]
        if limit <= lower:
            slower += count
        elif limit < upper and not math.isinf(upper):
            slower += count * (upper - limit) / (upper - lower)
        lower = upper
    return math.floor(slower)


def upper_share(q: float, requests: int) -> float:
    """The share of a sample below which the true quantile `q` lies in 95 of 100 cases; 1 for small samples.

    How many of a sample lie below the true quantile is binomial; this is its upper limit by the normal
    approximation. So a 99th percentile of a hundred requests is only known to be at most their slowest.
    """
    return min(1.0, q + 1.645 * math.sqrt(q * (1 - q) / requests)) if requests else 1.0


def _log_ratio(failed: int, requests: int, bound: float, way: float) -> float:
    larger = bound + (1 - bound) * way
    return failed * math.log(larger / bound) + (requests - failed) * math.log((1 - larger) / (1 - bound))


def _log_mean(logs: list[float]) -> float:
    largest = max(logs)
    return largest + math.log(sum(math.exp(each - largest) for each in logs) / len(logs))
