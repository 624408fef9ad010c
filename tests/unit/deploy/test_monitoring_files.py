"""Prometheus's and Alertmanager's own tools take their files, and the tests of the rules pass."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.support.documents import ROOT
from tests.support.promql import PROMETHEUS

pytestmark = pytest.mark.prometheus

ALERTMANAGER = ROOT / "deploy" / "alertmanager" / "alertmanager.yml"


def ask(*command: str | Path, within: Path = PROMETHEUS) -> str:
    """What the tool says; it must end well."""
    ended = subprocess.run(command, cwd=within, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def alertmanager_file(directory: Path) -> Path:
    """The file as releases before 0.26 can read it: they know no address that is kept in a file."""
    text = ALERTMANAGER.read_text()
    older = re.sub(r"url_file: \S+", "url: http://127.0.0.1:9/", text)
    assert older != text
    path = directory / ALERTMANAGER.name
    path.write_text(older)
    return path


def test_prometheus_takes_its_configuration_and_rules() -> None:
    said = ask("promtool", "check", "config", "prometheus.yml")

    assert "valid prometheus config file" in said


def test_no_rule_is_there_twice_or_malformed() -> None:
    ask("promtool", "check", "rules", *sorted(PROMETHEUS.glob("rules/*.yml")))


def test_every_alert_fires_and_clears_as_its_test_says() -> None:
    ask("promtool", "test", "rules", *sorted(PROMETHEUS.glob("tests/*.yml")))


def test_alertmanager_takes_its_configuration(tmp_path: Path) -> None:
    said = ask("amtool", "check-config", alertmanager_file(tmp_path))

    assert "SUCCESS" in said


@pytest.mark.parametrize("labels", ["severity=critical", "severity=warning"])
def test_alerts_of_each_severity_reach_the_operators(tmp_path: Path, labels: str) -> None:
    path = alertmanager_file(tmp_path)

    receiver = ask("amtool", "config", "routes", "test", f"--config.file={path}", labels)

    assert receiver.strip() == "operators"
