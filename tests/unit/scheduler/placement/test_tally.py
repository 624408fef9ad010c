"""Counting a service's instances stays right when the service is on few nodes and on many."""

from hypothesis import given
from hypothesis import strategies as st

from services.scheduler.placement import Placement, Snapshot, place_all
from services.scheduler.placement.rules import SCORES
from services.scheduler.placement.tally import SPARSE_ROWS, Tally
from tests.unit.scheduler.placement.builders import a_node, an_ask


@given(st.lists(st.integers(0, 3 * SPARSE_ROWS - 1), max_size=400), st.integers(0, 400))
def test_the_vector_equals_the_counts(rows: list[int], taken_back: int) -> None:
    tally, size = Tally(), 3 * SPARSE_ROWS
    for row in rows:
        tally.add(row, 1)
        tally.vector(size)
    for row in rows[:taken_back]:
        tally.add(row, -1)

    left = rows[taken_back:]

    assert tally.vector(size).tolist() == [left.count(row) for row in range(size)]


def test_a_service_on_many_nodes_is_still_spread_evenly_while_nodes_join() -> None:
    snapshot = Snapshot.of([a_node(f"n{i:03}") for i in range(100)])
    place_all([an_ask(f"a{i}") for i in range(100)], snapshot)
    for i in range(100, 130):
        snapshot.upsert_node(a_node(f"n{i:03}"))

    answers = place_all([an_ask(f"b{i}") for i in range(30)], snapshot)

    assert sorted(a.node for a in answers if isinstance(a, Placement)) == [f"n{i}" for i in range(100, 130)]


def test_a_service_on_many_nodes_is_still_spread_over_zones() -> None:
    snapshot = Snapshot.of([a_node(f"a{i:03}", zone="a") for i in range(100)] + [a_node("b", zone="b")])
    place_all([an_ask(f"first{i}") for i in range(101)], snapshot)

    answers = place_all([an_ask(f"then{i}", spread="zone") for i in range(5)], snapshot)

    assert {a.node for a in answers if isinstance(a, Placement)} == {"b"}


def test_both_forms_of_every_rule_agree_where_a_service_is_on_many_nodes() -> None:
    snapshot = Snapshot.of([a_node(f"n{i:03}", zone=f"z{i % 3}", gpus=i % 2) for i in range(100)])
    place_all([an_ask(f"web-{i}", spread="host") for i in range(130)], snapshot)
    ask = an_ask("last", spread="zone")

    for name in snapshot.nodes:
        view, row = snapshot.view(name, ask.service), snapshot.row(name)
        said = [rule.score(ask, view) for rule in SCORES]
        assert said == [rule.scores(ask, snapshot.columns)[row] for rule in SCORES]
