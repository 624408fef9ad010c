"""What the figures should be, and what they are: read from the raw numbers of each bench. Pure."""

import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Raw = Mapping[str, Any]
_NOT_PEERS = ("Easel", "uvicorn alone")


@dataclass(frozen=True)
class Goal:
    """A figure of one bench with a bound: `at_most` or `at_least`, in `unit`."""

    what: str
    bench: str
    measured: Callable[[Raw], float]
    at_least: float | None = None
    at_most: float | None = None
    unit: str = ""

    def row(self, raw: Raw | None) -> str:
        """One line of the table; "not measured" where the raw numbers lack the figure."""
        bound = f"≥ {self.at_least:,g}" if self.at_least is not None else f"≤ {self.at_most:,g}"
        try:
            value = self.measured(raw or {})
        except (KeyError, IndexError, StopIteration, ValueError, statistics.StatisticsError):
            return f"| {self.what} | {self.bench} | {bound}{self.unit} | not measured | – |"
        verdict = "met" if self.holds(value) else "**missed**"
        return f"| {self.what} | {self.bench} | {bound}{self.unit} | {_short(value)}{self.unit} | {verdict} |"

    def holds(self, value: float) -> bool:
        if self.at_least is not None:
            return value >= self.at_least
        return self.at_most is not None and value <= self.at_most


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _quantile(values: list[float], percent: int) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def _peers(raw: Raw) -> list[Raw]:
    return [row for row in raw["rows"] if row["what"] not in _NOT_PEERS]


def _times_the_best_peer(raw: Raw) -> float:
    return float(min(row["easel_times"] for row in _peers(raw)))


def _p99_of_the_best_peer_over_ours(raw: Raw) -> float:
    ours = next(row for row in raw["rows"] if row["what"] == "Easel")["p99_ms_at_100"]
    return float(min(row["p99_ms_at_100"] for row in _peers(raw)) / ours)


def _deploy_p50(runtime: str) -> Callable[[Raw], float]:
    def measured(raw: Raw) -> float:
        row = next(row for row in raw["rows"] if row["runtime"] == runtime)
        return _quantile(row["deploy_s"], 50)

    return measured


def _ready_to_served_p99(raw: Raw) -> float:
    return _quantile(raw["rows"][0]["ready_to_served_ms"], 99)


def _endpoint_p99(services: int) -> Callable[[Raw], float]:
    def measured(raw: Raw) -> float:
        found = next(each for each in raw["results"] if each["services"] == services)
        return _quantile(found["endpoint_ms"], 99)

    return measured


def _weight_p99(services: int) -> Callable[[Raw], float]:
    def measured(raw: Raw) -> float:
        found = next(each for each in raw["groups"] if each["services"] == services)
        return _quantile(found["weight_ms"], 99)

    return measured


def _worst_disturbance(raw: Raw) -> float:
    """The largest of the median ratios, of everything but the slices without a disturbance."""
    _, *disturbed = raw["ratios"].values()
    return max(statistics.median(each) for each in disturbed)


def _endpoint_growth(raw: Raw) -> float:
    by_size = {each["services"]: statistics.median(each["endpoint_ms"]) for each in raw["results"]}
    return float(by_size[10_000] / by_size[10])


def _decisions(raw: Raw) -> float:
    return _per_second(raw, "10,000 nodes", "decide")


def _postgres(way: str) -> Callable[[Raw], float]:
    return lambda raw: _per_second(raw, "PostgreSQL", way)


def _per_second(raw: Raw, *words: str) -> float:
    return float(next(row for row in raw["rows"] if all(word in row["what"] for word in words))["per_second"])


GOALS = (
    Goal(
        "Throughput through the gateway ÷ plain Envoy",
        "gateway",
        lambda raw: float(raw["ratio_requests"]),
        0.92,
    ),
    Goal(
        "Throughput with weights, mirror, limits, call log and spans on ÷ plain Envoy",
        "features",
        lambda raw: float(raw["full_ratio"]),
        0.75,
    ),
    Goal(
        "p99 of a service beside a hanging mirror, slow clients, large headers ÷ undisturbed",
        "disturbance",
        _worst_disturbance,
        at_most=1.25,
    ),
    Goal("Whole path: throughput ÷ that of the best other platform", "platforms", _times_the_best_peer, 1.0),
    Goal(
        "Whole path: p99 at 100 requests/s of the best other platform ÷ ours",
        "platforms",
        _p99_of_the_best_peer_over_ours,
        1.0,
    ),
    Goal(
        "Deploy → first 200, p50, process runtime", "deploy", _deploy_p50("process"), at_most=0.8, unit=" s"
    ),
    Goal(
        "Step from 5 to 200 requests/s → first decision",
        "scaling",
        lambda raw: float(raw["step"]["first_decision_s"]),
        at_most=3,
        unit=" s",
    ),
    Goal(
        "Requests that failed in that step, up and down",
        "scaling",
        lambda raw: float(raw["step"]["failed"]),
        at_most=0,
    ),
    *(
        Goal(
            f"Metrics for 2,000 services and 10,000 instances: {what}",
            "metrics_scale",
            of,
            at_most=most,
            unit=unit,
        )
        for what, of, most, unit in (
            ("cores", lambda raw: float(raw["cpu_cores"]), 1, ""),
            ("memory once all windows are full", lambda raw: float(raw["rss_when_full_mib"]), 1024, " MiB"),
            ("4 measures × 2 windows of all, p50", lambda raw: _quantile(raw["answer_ms"], 50), 500, " ms"),
        )
    ),
    Goal(
        "First numbers → decision, the longest of 200 at once among 2,000 services",
        "decisions",
        lambda raw: float(raw["decision_s"][-1]) if raw["decided"] == raw["stepped"] else float("inf"),
        at_most=3,
        unit=" s",
    ),
    Goal(
        "CPU of metrics and autoscaler with 2,000 services, 10,000 instances",
        "decisions",
        lambda raw: float(sum(raw["cpu_cores"].values())),
        at_most=1,
        unit=" cores",
    ),
    Goal("Deploy → first 200, p50, Docker", "deploy", _deploy_p50("docker"), at_most=0.8, unit=" s"),
    Goal(
        "Ready at the agent → first request served, p99",
        "deploy",
        _ready_to_served_p99,
        at_most=100,
        unit=" ms",
    ),
    *(
        Goal(
            f"Endpoint change inside gateway and Envoy, p99, {count:,} services",
            "xds",
            _endpoint_p99(count),
            at_most=10,
            unit=" ms",
        )
        for count in (10, 1_000, 10_000)
    ),
    *(
        Goal(
            f"Weight change inside gateway and Envoy, p99, {count:,} services in groups with mirrors",
            "xds",
            _weight_p99(count),
            at_most=10,
            unit=" ms",
        )
        for count in (1_000, 10_000)
    ),
    Goal("Endpoint change, p50 at 10,000 services ÷ at 10", "xds", _endpoint_growth, at_most=1.5),
    Goal("Placement decisions at 10,000 nodes × 8 GPUs", "placement", _decisions, 5_000, unit="/s"),
    Goal(
        "Placements committed to PostgreSQL, one by one",
        "store",
        _postgres("one caller, one"),
        500,
        unit="/s",
    ),
    Goal(
        "Placements committed to PostgreSQL, a reconciler's pass at a time",
        "store",
        _postgres("batches"),
        500,
        unit="/s",
    ),
    Goal(
        "`easel up --detach` until ready, p50",
        "startup",
        lambda raw: statistics.median(raw["rows"][0]["seconds"]),
        at_most=3.0,
        unit=" s",
    ),
)


def goals_table(raws: Mapping[str, Raw]) -> str:
    """Every goal beside its figure, as Markdown."""
    lines = ["| goal | bench | bound | measured | |", "|---|---|---|---|---|"]
    return "\n".join([*lines, *(goal.row(raws.get(goal.bench)) for goal in GOALS)])
