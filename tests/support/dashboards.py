"""The committed dashboards, as Grafana reads them, and what they ask Prometheus for."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.documents import ROOT

DASHBOARDS = ROOT / "deploy" / "grafana" / "dashboards"


@dataclass(frozen=True)
class Asked:
    """One query of one panel."""

    board: str
    panel: str
    expr: str
    legend: str

    def __str__(self) -> str:
        return f"{self.board}: {self.panel}: {self.expr}"


def dashboard_files() -> list[Path]:
    """Every dashboard, in the order of their names."""
    return sorted(DASHBOARDS.glob("*.json"))


def read(path: Path) -> dict[str, Any]:
    """One dashboard as JSON."""
    board: dict[str, Any] = json.loads(path.read_text())
    return board


def queries(path: Path) -> list[Asked]:
    """What the panels of a dashboard ask for."""
    return [
        Asked(path.stem, panel["title"], target["expr"], target["legendFormat"])
        for panel in read(path)["panels"]
        for target in panel.get("targets", [])
    ]


def asked_of_a_fleet(expr: str, window: str) -> str:
    """The query as Grafana sends it when everything is chosen in every list."""
    for variable in ("service", "instance", "node", "gpu", "gateway"):
        expr = expr.replace(f'"${variable}"', '".*"')
    return expr.replace("$__rate_interval", window)
