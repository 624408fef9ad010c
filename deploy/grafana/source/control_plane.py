"""Easel itself: whether its parts are there, what they cost, and how quick they are."""

from deploy.grafana.source.board import ORANGE, RED, Board, Query, Row, Unit, graph, number, states

_RATE = "[$__rate_interval]"
_PART = "{{component}} {{name}}"


def _of_parts(metric: str) -> Query:
    return Query(f"max by (component, name) ({metric})", _PART)


def _each(seconds: str, times: str) -> Query:
    # 0 in a time without any, where there is nothing to take the mean of.
    return Query(f"sum(rate({seconds}{_RATE})) / clamp_min(sum(rate({times}{_RATE})), 1e-9)", "mean")


_GLANCE = Row(
    "At a glance",
    (
        number(
            "Parts away",
            "Processes of Easel that do not report.",
            Unit.COUNT,
            "sum(1 - max by (component, name) (easel_component_up))",
            (1, RED),
        ),
        number("Agents", "That are connected.", Unit.COUNT, "max(easel_scheduler_agents)"),
        number(
            "Pending",
            "Instances that have no node.",
            Unit.COUNT,
            "max(easel_scheduler_pending_instances)",
            (1, ORANGE),
        ),
        number(
            "Failed commits",
            "Transactions that were refused or not answered, in an hour.",
            Unit.COUNT,
            "sum(increase(easel_scheduler_commit_failures_total[1h]))",
            (1, RED),
        ),
        number(
            "Facts",
            "1 while the scheduler tells metrics its facts.",
            Unit.NONE,
            "max(easel_metrics_facts_connected)",
        ),
        number("Series", "That the metrics service keeps.", Unit.COUNT, "max(easel_metrics_series)"),
    ),
)
_PARTS = Row(
    "Processes",
    (
        states(
            "Up",
            "While each part reports.",
            _of_parts("easel_component_up"),
            ("1", "up", "green"),
            ("0", "away", "red"),
        ),
        graph(
            "CPU",
            "Cores that each part uses.",
            Unit.COUNT,
            Query(f"sum by (component, name) (rate(easel_component_cpu_seconds_total{_RATE}))", _PART),
        ),
        graph("Memory", "Resident, of each part.", Unit.BYTES, _of_parts("easel_component_memory_bytes")),
        graph("Open files", "Of each part.", Unit.COUNT, _of_parts("easel_component_open_files")),
        graph(
            "Age",
            "Since each part was started.",
            Unit.SECONDS,
            Query("time() - max by (component, name) (easel_component_start_timestamp_seconds)", _PART),
        ),
    ),
)
_SCHEDULER = Row(
    "Scheduler",
    (
        graph(
            "Commits",
            "Transactions of the store, and those that failed.",
            Unit.PER_SECOND,
            Query(f"sum(rate(easel_scheduler_commits_total{_RATE}))", "commits"),
            Query(f"sum(rate(easel_scheduler_commit_failures_total{_RATE}))", "failed"),
        ),
        graph(
            "A commit takes",
            "Mean time of a transaction.",
            Unit.SECONDS,
            _each("easel_scheduler_commit_seconds_total", "easel_scheduler_commits_total"),
        ),
        graph(
            "Turns",
            "Of the reconciler.",
            Unit.PER_SECOND,
            Query(f"sum(rate(easel_scheduler_turns_total{_RATE}))", "turns"),
        ),
        graph(
            "A turn takes",
            "Mean time of a turn of the reconciler.",
            Unit.SECONDS,
            _each("easel_scheduler_turn_seconds_total", "easel_scheduler_turns_total"),
        ),
        graph(
            "Agents",
            "That are connected.",
            Unit.COUNT,
            Query("max(easel_scheduler_agents)", "agents"),
            steps=True,
        ),
        graph(
            "Pending",
            "Instances that have no node.",
            Unit.COUNT,
            Query("max(easel_scheduler_pending_instances)", "pending"),
            steps=True,
        ),
    ),
)
_METRICS = Row(
    "Metrics",
    (
        graph(
            "Streams",
            "That are open: Envoys, nodes, parts of Easel.",
            Unit.COUNT,
            Query("max by (kind) (easel_metrics_sources)", "{{kind}}"),
            steps=True,
        ),
        graph("Series", "That are kept.", Unit.COUNT, Query("max(easel_metrics_series)", "series")),
        graph(
            "Taking numbers in",
            "Cores that this takes.",
            Unit.COUNT,
            Query(f"sum(rate(easel_metrics_ingest_seconds_total{_RATE}))", "ingest"),
        ),
        states(
            "Scraped",
            "When Prometheus could read Easel's metrics.",
            Query('min by (job) (up{job="easel"})', "{{job}}"),
            ("1", "read", "green"),
            ("0", "not read", "red"),
        ),
        graph(
            "A scrape takes",
            "Time to answer Prometheus.",
            Unit.SECONDS,
            Query('max by (job) (scrape_duration_seconds{job="easel"})', "{{job}}"),
        ),
        graph(
            "Samples of a scrape",
            "How many numbers Prometheus reads at once.",
            Unit.COUNT,
            Query('max by (job) (scrape_samples_scraped{job="easel"})', "{{job}}"),
        ),
    ),
)

CONTROL_PLANE = Board(
    "control-plane",
    "Easel / Control plane",
    "Easel itself: whether its parts are there, what they cost, and how quick they are.",
    (_GLANCE, _PARTS, _SCHEDULER, _METRICS),
)
