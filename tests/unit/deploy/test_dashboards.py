"""The dashboards are the ones that their source says, follow Grafana's schema, and ask for what there is."""

import json
import re
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models import dashboard

from deploy.grafana.source import BOARDS
from deploy.grafana.source.__main__ import write
from tests.support.dashboards import DASHBOARDS, asked_of_a_fleet, dashboard_files, queries, read
from tests.support.documents import ROOT
from tests.support.promql import left_labels, samples, unknown_labels, unknown_names

every_dashboard = pytest.mark.parametrize("path", dashboard_files(), ids=lambda path: path.stem)
PROVISIONING = ROOT / "deploy" / "grafana" / "provisioning"


def panels(path: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = read(path)["panels"]
    return found


def drawn(path: Path) -> list[dict[str, Any]]:
    """The panels that draw something; the others are headings."""
    return [panel for panel in panels(path) if panel["type"] != "row"]


def test_they_are_what_their_source_says(tmp_path: Path) -> None:
    write(tmp_path)

    stale = [
        board.name
        for board in BOARDS
        if (tmp_path / f"{board.name}.json").read_text() != (DASHBOARDS / f"{board.name}.json").read_text()
    ]

    assert stale == [], "run make dashboards"
    assert [path.stem for path in dashboard_files()] == sorted(board.name for board in BOARDS)


@every_dashboard
def test_grafana_s_own_classes_read_it_and_write_the_same(path: Path) -> None:
    register_default_plugins()

    again = json.loads(JSONEncoder().encode(dashboard.Dashboard.from_json(read(path))))

    assert again == read(path)


def test_addresses_do_not_change() -> None:
    assert sorted(read(path)["uid"] for path in dashboard_files()) == [
        "easel-autoscaler",
        "easel-control-plane",
        "easel-fleet",
        "easel-gateway",
        "easel-gpu",
        "easel-instance",
        "easel-service",
    ]


@every_dashboard
def test_a_panel_has_a_number_of_its_own_and_says_what_it_shows(path: Path) -> None:
    numbers = [panel["id"] for panel in panels(path)]

    assert len(numbers) == len(set(numbers))
    assert [panel["title"] for panel in drawn(path) if not panel["description"].endswith(".")] == []
    assert [panel["title"] for panel in drawn(path) if not panel["fieldConfig"]["defaults"]["unit"]] == []
    assert all(panel["fieldConfig"]["defaults"]["thresholds"]["steps"] for panel in drawn(path))


@every_dashboard
def test_panels_lie_beside_each_other_within_the_grid(path: Path) -> None:
    places = [panel["gridPos"] for panel in panels(path)]

    assert all(at["x"] >= 0 and at["x"] + at["w"] <= 24 for at in places)
    assert [pair for pair in combinations(places, 2) if overlap(*pair)] == []


def overlap(one: dict[str, int], other: dict[str, int]) -> bool:
    return (
        one["x"] < other["x"] + other["w"]
        and other["x"] < one["x"] + one["w"]
        and one["y"] < other["y"] + other["h"]
        and other["y"] < one["y"] + one["h"]
    )


@every_dashboard
def test_a_query_asks_for_metrics_and_labels_that_there_are(path: Path) -> None:
    wrong = [
        (asked, unknown)
        for asked in queries(path)
        if (unknown := unknown_names(asked.expr) | unknown_labels(asked.expr))
    ]

    assert wrong == []
    assert [asked for asked in queries(path) if "$" in asked_of_a_fleet(asked.expr, "1m")] == []


@every_dashboard
def test_a_legend_names_labels_that_the_series_have(path: Path) -> None:
    missing = [
        (asked, label)
        for asked in queries(path)
        for label in re.findall(r"\{\{(\w+)\}\}", asked.legend)
        if label not in left_labels(asked.expr)
    ]

    assert missing == []


@every_dashboard
def test_a_list_to_choose_from_is_made_of_a_metric_and_one_of_its_labels(path: Path) -> None:
    for variable in read(path)["templating"]["list"]:
        if variable["type"] == "datasource":
            continue
        metric, label = re.fullmatch(
            r"label_values\((\w+)\{.*\}, (\w+)\)", variable["query"]["query"]
        ).groups()  # type: ignore[union-attr]
        assert label in samples()[metric]
        assert unknown_labels(variable["query"]["query"].partition("(")[2]) == set()


@every_dashboard
def test_links_lead_to_dashboards_that_choose_what_they_were_followed_from(path: Path) -> None:
    chooses = {
        read(each)["uid"]: {variable["name"] for variable in read(each)["templating"]["list"]}
        for each in dashboard_files()
    }

    for panel in drawn(path):
        for link in panel["fieldConfig"]["defaults"].get("links", []):
            uid, chosen, label = re.match(
                r"/d/([\w-]+)\?var-(\w+)=\$\{__field\.labels\.(\w+)\}", link["url"]
            ).groups()  # type: ignore[union-attr]
            assert chosen in chooses[uid]
            assert all(label in left_labels(target["expr"]) for target in panel["targets"])


def test_grafana_is_told_where_the_dashboards_and_prometheus_are() -> None:
    (source,) = yaml.safe_load((PROVISIONING / "datasources" / "prometheus.yml").read_text())["datasources"]
    (provider,) = yaml.safe_load((PROVISIONING / "dashboards" / "easel.yml").read_text())["providers"]

    assert (source["type"], source["url"], source["isDefault"]) == (
        "prometheus",
        "http://prometheus:9090",
        True,
    )
    assert provider["options"]["path"] == "/etc/grafana/easel"
