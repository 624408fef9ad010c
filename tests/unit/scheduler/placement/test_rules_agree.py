"""Each rule says the same of a node in words and in columns."""

from hypothesis import given, settings
from hypothesis import strategies as st

from libs.domain.records import GpuFence, Node
from services.scheduler.placement import Ask, Placement, Snapshot, Unplaced, place, place_all
from services.scheduler.placement.framework import MAX_SCORE
from services.scheduler.placement.rules import FILTERS, SCORES
from tests.unit.scheduler.placement.worlds import asks, fences, nodes

clusters = st.lists(nodes(), unique_by=lambda node: node.name, max_size=5)
fenced = st.lists(fences(), unique_by=lambda fence: (fence.node, fence.uuid), max_size=6)


@settings(max_examples=300, deadline=None)
@given(clusters, fenced, st.lists(asks, max_size=10, unique_by=lambda ask: ask.instance), asks)
def test_both_forms_of_every_rule_agree_on_every_node(
    cluster: list[Node], fenced: list[GpuFence], earlier: list[Ask], ask: Ask
) -> None:
    snapshot = Snapshot.of(cluster, fences=fenced)
    place_all(earlier, snapshot)

    for name in snapshot.nodes:
        view, row, columns = snapshot.view(name, ask.service), snapshot.row(name), snapshot.columns
        for rule in FILTERS:
            mask = rule.mask(ask, columns)
            verdict = rule.verdict(ask, view)
            assert verdict.fits == (mask is None or bool(mask[row])), rule.name
            assert bool(verdict.why) is not verdict.fits
        for score in SCORES:
            said = score.score(ask, view)
            assert said == score.scores(ask, columns)[row], score.name
            assert 0 <= said <= MAX_SCORE


@settings(max_examples=300, deadline=None)
@given(clusters, st.lists(asks, max_size=10, unique_by=lambda ask: ask.instance), asks)
def test_the_chosen_node_is_the_one_that_the_rules_in_words_would_choose(
    cluster: list[Node], earlier: list[Ask], ask: Ask
) -> None:
    snapshot = Snapshot.of(cluster)
    place_all(earlier, snapshot)
    views = [snapshot.view(name, ask.service) for name in sorted(snapshot.nodes)]
    fitting = [view for view in views if all(rule.verdict(ask, view).fits for rule in FILTERS)]

    answer = place(ask, snapshot)

    if isinstance(answer, Unplaced):
        assert not fitting
        assert all(answer.reasons)
    else:
        best = max(fitting, key=lambda view: sum(rule.weight(ask) * rule.score(ask, view) for rule in SCORES))
        assert answer.node == best.node.name


@settings(max_examples=200, deadline=None)
@given(clusters, st.lists(asks, max_size=12, unique_by=lambda ask: ask.instance))
def test_the_order_in_which_nodes_became_known_changes_nothing(
    cluster: list[Node], wanted: list[Ask]
) -> None:
    forward, backward = Snapshot.of(cluster), Snapshot.of(reversed(cluster))

    assert place_all(wanted, forward) == place_all(wanted, backward)


@settings(max_examples=200, deadline=None)
@given(clusters, asks)
def test_a_refusal_accounts_for_every_node_of_the_group(cluster: list[Node], ask: Ask) -> None:
    answer = place(ask, Snapshot.of(cluster))

    if isinstance(answer, Placement):
        return
    in_group = sum(node.resource_group == ask.resource_group for node in cluster)
    group, counted, *phrases = answer.reasons[0].split(": ")
    assert group == ask.resource_group
    if not in_group:
        assert counted == "no nodes"
        return
    assert counted.split()[0] == str(in_group)
    assert sum(int(phrase.split()[0]) for phrase in phrases[0].split(", ")) == in_group
