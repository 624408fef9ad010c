"""What a query of Prometheus names: metrics, labels, recorded rules. It reads, and understands no more."""

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from services.metrics.catalogue import CATALOGUE, Metric, Type
from tests.support.documents import ROOT

PROMETHEUS = ROOT / "deploy" / "prometheus"
# What Prometheus adds to everything that it scrapes, and the label of a histogram's buckets.
_OF_PROMETHEUS = {
    "up": {"job"},
    "scrape_duration_seconds": {"job"},
    "scrape_samples_scraped": {"job"},
    "ALERTS": {"alertname", "alertstate"},
}
_BUCKET = "le"
_NAME = re.compile(r"\b(easel:[\w:]+|easel_\w+|up|ALERTS|scrape_\w+)\b(?:\{([^}]*)\})?")
_GROUPING = re.compile(r"\b(?:by|on|without|ignoring|group_left|group_right)\s*\(([^)]*)\)")
_MATCHER = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)")
_TEXT = re.compile(r"\"(?:[^\"\\]|\\.)*\"")


@dataclass(frozen=True)
class Rule:
    """An alert, or a recorded expression. `file` is its name without a path."""

    file: str
    name: str
    alert: bool
    expr: str
    labels: dict[str, str]
    annotations: dict[str, str]
    severity: str


@cache
def rules() -> tuple[Rule, ...]:
    """All that Prometheus is told to evaluate, in the order of the files."""
    return tuple(
        Rule(
            path.name,
            each.get("alert") or each["record"],
            "alert" in each,
            each["expr"],
            each.get("labels", {}),
            each.get("annotations", {}),
            each.get("labels", {}).get("severity", ""),
        )
        for path in sorted((PROMETHEUS / "rules").glob("*.yml"))
        for group in _read(path)["groups"]
        for each in group["rules"]
    )


@cache
def samples() -> dict[str, set[str]]:
    """The labels of every name that a query may use: samples of the catalogue, and what is recorded."""
    exposed = {name: set(metric.labels) | more for metric in CATALOGUE for name, more in _names(metric)}
    recorded = {each.name: _grouped(each.expr) for each in rules() if not each.alert}
    return {**exposed, **recorded, **_OF_PROMETHEUS}


def names_in(expr: str) -> set[str]:
    """Every metric and recorded rule that a query names."""
    return {name for name, _ in _NAME.findall(_plain(expr))}


def unknown_names(expr: str) -> set[str]:
    """Names that neither the catalogue nor a recording rule has."""
    return names_in(expr) - set(samples())


def unknown_labels(expr: str) -> set[str]:
    """Labels that are matched on or grouped by, and that no metric of the query has."""
    plain, known = _plain(expr), samples()
    asked = _grouped(plain) | {
        label for _, matchers in _NAME.findall(plain) for label in _MATCHER.findall(matchers)
    }
    return asked - set().union(*(known.get(name, set()) for name, _ in _NAME.findall(plain)))


def left_labels(expr: str) -> set[str]:
    """The labels that results may carry."""
    return _grouped(expr) or set().union(
        *(samples().get(name, set()) for name, _ in _NAME.findall(_plain(expr)))
    )


def _names(metric: Metric) -> list[tuple[str, set[str]]]:
    if metric.type is Type.HISTOGRAM:
        return [
            (f"{metric.name}_bucket", {_BUCKET}),
            (f"{metric.name}_count", set()),
            (f"{metric.name}_sum", set()),
        ]
    ending = {Type.COUNTER: "_total", Type.INFO: "_info"}.get(metric.type, "")
    return [(metric.name + ending, set())]


def _grouped(expr: str) -> set[str]:
    return {
        label.strip()
        for labels in _GROUPING.findall(_plain(expr))
        for label in labels.split(",")
        if label.strip()
    }


def _plain(expr: str) -> str:
    """The query without the texts in it, which may look like anything."""
    return _TEXT.sub('""', expr)


def _read(path: Path) -> Any:
    return yaml.safe_load(path.read_text())
