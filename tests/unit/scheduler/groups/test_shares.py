"""What each member takes of its group's requests."""

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from libs.domain.records import Service
from libs.domain.states import TrafficMode, TrafficState
from libs.domain.traffic import BY_INSTANCES, Ramp
from services.scheduler.groups.shares import fixed_weights, group_shares, group_weights
from tests.unit.scheduler.groups.builders import a_group, a_member, a_ramp, a_standalone_member

CUSTOMIZED = TrafficMode.CUSTOMIZED

weights = st.integers(BY_INSTANCES, 1000)
members = st.lists(
    st.tuples(st.sampled_from(TrafficState), weights, st.integers(0, 1000)), min_size=1, max_size=6
)


def test_in_auto_mode_requests_follow_ready_instances_whatever_the_weights() -> None:
    two = (a_member("one", weight=900), a_member("two", weight=1))

    shares = group_shares(a_group(), two, {"one": 1, "two": 3}, None)

    assert [(each.weight, each.share) for each in shares] == [(1, 0.25), (3, 0.75)]


def test_in_customized_mode_they_follow_weights_and_one_without_counts_its_instances() -> None:
    two = (a_member("one", weight=6), a_member("two", weight=BY_INSTANCES))

    shares = group_shares(a_group(traffic_mode=CUSTOMIZED), two, {"one": 1, "two": 2}, None)

    assert [each.share for each in shares] == [0.75, 0.25]


def test_a_member_without_ready_instances_keeps_its_weight_and_is_left_out_while_another_has_some() -> None:
    two = (a_member("one", weight=90), a_member("two", weight=10))

    shares = group_shares(a_group(traffic_mode=CUSTOMIZED), two, {"two": 1}, None)

    assert [(each.weight, each.share) for each in shares] == [(90, 0.0), (10, 1.0)]


def test_a_ramp_gives_its_member_its_percent_and_the_others_the_rest_as_before_among_them() -> None:
    three = (a_member("canary"), a_member("one"), a_member("two"))
    ramp = a_ramp("canary", steps=(5, 100))

    shares = group_shares(a_group(), three, {"canary": 9, "one": 1, "two": 3}, ramp)

    assert [round(each.share, 4) for each in shares] == [0.05, 0.2375, 0.7125]


def test_a_ramp_at_its_end_leaves_the_others_nothing() -> None:
    two = (a_member("canary"), a_member("one"))

    weights = group_weights(a_group(), two, {"canary": 1, "one": 1}, a_ramp("canary", steps=(100,)))

    assert weights == {"canary": 1, "one": 0}


def test_members_of_weight_0_answer_when_nothing_is_left_of_the_others() -> None:
    two = (a_member("new", weight=100), a_member("old", weight=0), a_standalone_member("apart"))
    customized = a_group(traffic_mode=CUSTOMIZED)

    both = group_shares(customized, two, {"new": 1, "old": 2, "apart": 1}, None)
    alone = group_shares(customized, two, {"old": 2, "apart": 1}, None)
    nobody = group_shares(customized, two, {"apart": 1}, None)

    assert {each.service: each.share for each in both} == {"apart": 0.0, "new": 1.0, "old": 0.0}
    assert {each.service: each.share for each in alone} == {"apart": 0.0, "new": 0.0, "old": 1.0}
    assert {each.service: each.weight for each in nobody} == {"apart": 0, "new": 100, "old": 0}


def test_a_share_that_is_kept_becomes_percents_where_it_can() -> None:
    assert fixed_weights("canary", 25, {"one": 3}) == {"canary": 25, "one": 75}
    assert fixed_weights("canary", 100, {"one": 3}) == {"canary": 100, "one": 0}
    assert fixed_weights("canary", 100, {}) == {"canary": 100}


def test_others_of_which_none_is_ready_keep_equal_parts_of_the_rest() -> None:
    assert fixed_weights("canary", 50, {"one": 0, "two": 0}) == {"canary": 50, "one": 25, "two": 25}


@given(members, st.sampled_from(TrafficMode), st.one_of(st.none(), st.integers(1, 100)))
def test_shares_sum_to_one_and_standalone_members_have_none(
    given_members: list[tuple[TrafficState, int, int]], mode: TrafficMode, percent: int | None
) -> None:
    group = a_group(traffic_mode=mode)
    made, ready = _made(given_members)
    ramp = _ramp_of(made, percent)

    shares = group_shares(group, made, ready, ramp)

    taking = {m.name for m in made if m.traffic_state is TrafficState.GROUPING}
    total = sum(each.share for each in shares)
    assert abs(total - 1) < 1e-9 or total == 0
    assert all(each.share == 0 and each.weight == 0 for each in shares if each.service not in taking)
    reached = [each for each in shares if each.ready and each.service in taking]
    assert total > 0 or not any(each.weight for each in reached)


@given(members, st.integers(1, 100))
def test_a_ramps_share_is_exact_beside_others_that_take_requests(
    given_members: list[tuple[TrafficState, int, int]], percent: int
) -> None:
    made, ready = _made(given_members)
    ramp = _ramp_of(made, percent)
    without = group_weights(a_group(traffic_mode=CUSTOMIZED), made, ready, None)

    weights = group_weights(a_group(traffic_mode=CUSTOMIZED), made, ready, ramp)

    if ramp is not None and any(weight for name, weight in without.items() if name != ramp.service):
        assert Fraction(weights[ramp.service], sum(weights.values())) == Fraction(percent, 100)


@given(st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 100_000), max_size=6), st.integers(1, 100))
def test_kept_weights_are_weights_and_close_to_the_share(others: dict[str, int], percent: int) -> None:
    kept = fixed_weights("canary", percent, others)

    assert all(0 <= weight <= 1000 for weight in kept.values())
    assert kept["canary"] > 0
    if percent == 100:
        assert not any(weight for name, weight in kept.items() if name != "canary")


def _made(given_members: list[tuple[TrafficState, int, int]]) -> tuple[list[Service], dict[str, int]]:
    made = [
        a_member(f"m{n}", traffic_state=state, weight=weight)
        for n, (state, weight, _) in enumerate(given_members)
    ]
    return made, {f"m{n}": ready for n, (_, _, ready) in enumerate(given_members)}


def _ramp_of(made: list[Service], percent: int | None) -> Ramp | None:
    if percent is None or made[0].traffic_state is not TrafficState.GROUPING:
        return None
    return a_ramp(made[0].name, steps=(percent,))
