"""Every alert is whole: it asks for what there is, says what it means, has a runbook and a test."""

import re
from typing import Any

import pytest
import typer.main
import yaml

from cli.main import app
from libs.domain.states import ServiceState
from tests.support.documents import FENCE, QUOTED, ROOT
from tests.support.promql import PROMETHEUS, Rule, rules, unknown_labels, unknown_names

ALERTS = [rule for rule in rules() if rule.alert]
RUNBOOKS = (ROOT / "docs" / "ALERTS.md").read_text()
SECTIONS = re.findall(r"^### (.+)$", RUNBOOKS, re.MULTILINE)
SCENARIOS = [
    scenario
    for path in sorted((PROMETHEUS / "tests").glob("*.yml"))
    for scenario in yaml.safe_load(path.read_text())["tests"]
]


def named(rule: Rule) -> str:
    return rule.name


def section(name: str) -> str:
    return re.split(r"^##", RUNBOOKS.split(f"### {name}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]


@pytest.mark.parametrize("rule", rules(), ids=named)
def test_a_rule_asks_for_metrics_and_labels_that_there_are(rule: Rule) -> None:
    assert unknown_names(rule.expr) == set()
    assert unknown_labels(rule.expr) == set()


def test_the_states_that_rules_name_are_states_of_services() -> None:
    named_states = {
        state
        for rule in ALERTS
        for states in re.findall(r'easel_service_state\{state=~?"([^"]+)"', rule.expr)
        for state in states.split("|")
    }

    assert named_states == {"creating", "waiting"}
    assert named_states <= {state.lower() for state in ServiceState}


@pytest.mark.parametrize("rule", ALERTS, ids=named)
def test_an_alert_says_how_bad_it_is_and_what_it_means(rule: Rule) -> None:
    assert rule.severity in ("critical", "warning")
    assert {*rule.annotations} == {"summary", "description", "runbook"}
    assert rule.annotations["description"].endswith(".")
    assert rule.annotations["runbook"] == f"docs/ALERTS.md#{rule.name.lower()}"


def test_every_alert_has_its_runbook_and_every_runbook_its_alert() -> None:
    assert sorted(SECTIONS) == sorted(rule.name for rule in ALERTS)


@pytest.mark.parametrize("rule", ALERTS, ids=named)
def test_a_runbook_tells_the_severity_where_to_look_and_what_to_do(rule: Rule) -> None:
    told = section(rule.name)

    assert told.strip().startswith(f"**{rule.severity}** · ")
    assert re.search(r"^\*Look at\*", told, re.MULTILINE)
    assert re.search(r"^\*Do\*", told, re.MULTILINE)


def known_commands() -> dict[str, set[str]]:
    """The commands of `easel`, each with the commands below it."""
    return {
        name: set(getattr(command, "commands", {}))
        for name, command in typer.main.get_command(app).commands.items()  # type: ignore[attr-defined]
    }


def test_every_command_of_a_runbook_exists() -> None:
    told = [words.split()[1:] for words in QUOTED.findall(RUNBOOKS) if words.startswith("easel ")]
    known = known_commands()

    missing = [
        words
        for words in told
        if words[0] not in known or (known[words[0]] and words[1] not in known[words[0]])
    ]

    assert len(told) > 40
    assert missing == []


def test_every_link_to_a_runbook_leads_to_one() -> None:
    linked = re.findall(r"\(#(\w+)\)", FENCE.sub("", RUNBOOKS))

    assert set(linked) <= {name.lower() for name in SECTIONS}


@pytest.mark.parametrize("rule", ALERTS, ids=named)
def test_an_alert_is_tested_to_fire_alone_and_to_clear(rule: Rule) -> None:
    (scenario,) = [each for each in SCENARIOS if each["name"] == rule.name]
    fires, clears = scenario["promql_expr_test"]

    assert all(each["expr"] == 'ALERTS{alertstate="firing"}' for each in (fires, clears))
    assert [fired(sample) for sample in fires["exp_samples"]] == [(rule.name, rule.severity)]
    assert clears["exp_samples"] == []


def fired(sample: dict[str, Any]) -> tuple[str, str]:
    labels = dict(re.findall(r'(\w+)="([^"]*)"', sample["labels"]))
    return labels["alertname"], labels["severity"]
