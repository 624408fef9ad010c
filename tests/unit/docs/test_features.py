"""docs/FEATURES.md is true: every row is whole, and what it names exists."""

import re
from dataclasses import dataclass

import pytest
from google.protobuf.descriptor import FileDescriptor

from easel.admin.v1 import admin_pb2, scaling_pb2
from easel.agent.v1 import agent_pb2
from easel.autoscaler.v1 import autoscaler_pb2
from easel.facts.v1 import facts_pb2
from easel.gateway.v1 import gateway_pb2
from easel.metrics.v1 import metrics_pb2
from tests.support.documents import ROOT, missing_paths

FEATURES = ROOT / "docs" / "FEATURES.md"
CONTRACTS = (admin_pb2, scaling_pb2, agent_pb2, autoscaler_pb2, facts_pb2, gateway_pb2, metrics_pb2)
CALL = re.compile(r"`(\w+Service)\.(\w+)`")


@dataclass(frozen=True)
class Row:
    feature: str
    rule: str
    loop: str
    call: str
    test: str


def rows() -> list[Row]:
    """The rows of every table in the document, without headings."""
    lines = [line for line in FEATURES.read_text().splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [Row(*each) for each in cells if each[0] != "feature" and not set(each[0]) <= set("-: ")]


def calls_of(file: FileDescriptor) -> set[tuple[str, str]]:
    return {
        (service.name, method.name)
        for service in file.services_by_name.values()
        for method in service.methods
    }


def test_there_are_features() -> None:
    assert len(rows()) > 20


@pytest.mark.parametrize("row", rows(), ids=lambda row: row.feature)
def test_a_feature_names_its_rule_and_a_test_and_both_exist(row: Row) -> None:
    assert "`" in row.rule
    assert "`tests/" in row.test
    assert [path for cell in (row.rule, row.loop, row.test) for path in missing_paths(cell)] == []


@pytest.mark.parametrize("row", rows(), ids=lambda row: row.feature)
def test_a_feature_names_calls_that_the_contracts_have(row: Row) -> None:
    known = {call for module in CONTRACTS for call in calls_of(module.DESCRIPTOR)}

    assert set(CALL.findall(row.call)) <= known


def test_every_call_of_the_contracts_belongs_to_a_feature() -> None:
    known = {call for module in CONTRACTS for call in calls_of(module.DESCRIPTOR)}

    named = {call for row in rows() for call in CALL.findall(row.call)}

    assert known - named == set()
