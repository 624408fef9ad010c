"""Whose localhost is opened for metrics."""

from dataclasses import replace
from datetime import UTC, datetime

from services.agent.runtime.port import Attempt, Running
from services.agent.telemetry.inlets import is_shared_open, wishes
from services.agent.workload import Workload

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
PORT = 8080
DECLARED = {"tokens": frozenset[str]()}


def running(instance: str, port: int = 20_000) -> Running:
    return Running(instance, "digits", 1, 1, "h", Attempt(), "127.0.0.1", port, NOON)


def workload(instance: str, **changes: object) -> Workload:
    base = Workload(id=instance, service="digits", version=1, epoch=1, spec_hash="h", port=8000)
    return replace(base, **changes)


def test_the_localhost_of_those_that_declare_metrics_is_opened() -> None:
    known = {"i-1": workload("i-1", metrics=DECLARED), "i-2": workload("i-2"), "i-3": None}

    found = wishes([running("i-1"), running("i-2"), running("i-3")], known, PORT)

    assert [wish.instance for wish in found] == ["i-1"]


def test_the_localhost_of_a_program_that_listens_there_is_its_own() -> None:
    known = {"i-1": workload("i-1", metrics=DECLARED, port=PORT)}

    assert wishes([running("i-1")], known, PORT) == set()


def test_the_node_s_localhost_is_opened_while_somebody_declares_metrics_and_nobody_has_the_port() -> None:
    plain, declares = workload("i-1"), workload("i-2", metrics=DECLARED)

    assert not is_shared_open([running("i-1")], {"i-1": plain}, PORT)
    assert is_shared_open([running("i-1"), running("i-2")], {"i-1": plain, "i-2": declares}, PORT)
    taken = [running("i-1", port=PORT), running("i-2")]
    assert not is_shared_open(taken, {"i-1": plain, "i-2": declares}, PORT)
