"""What holds for every policy and every load."""

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from services.autoscaler.policies.model import Burst, Policy, Target
from tests.support.scaling import Story

VALUES = st.floats(0, 5_000, allow_nan=False) | st.just(0.0)
POLICIES = st.builds(
    lambda least, more, **rest: Policy(min=least, max=max(1, least + more), **rest),
    least=st.integers(0, 20),
    more=st.integers(0, 50),
    targets=st.sampled_from(
        [(Target("qps", 10),), (Target("cpu", 60),), (Target("concurrency", 4), Target("rt[p99]", 200))]
    ),
    measure_s=st.sampled_from([1, 10, 30]),
    up_s=st.sampled_from([0, 5]),
    down_s=st.sampled_from([0, 5, 20]),
    burst=st.builds(Burst, enabled=st.booleans()),
    grace_s=st.sampled_from([0, 5]),
    activation=st.integers(1, 5),
)


@st.composite
def looks(
    draw: st.DrawFn, policy: Policy, missing: bool = True
) -> list[tuple[list[float | None], dict[str, Any]]]:
    """What is seen, second by second."""
    value = VALUES | st.none() if missing else VALUES
    seen = []
    for _ in range(draw(st.integers(1, 40))):
        values = [draw(value) for _ in policy.targets]
        others = {"waiting": draw(st.integers(0, 3)), "ready": draw(st.integers(0, 30)), "qps": draw(value)}
        seen.append((values, others))
    return seen


@given(st.data(), POLICIES, st.integers(0, 90))
def test_bounds_always_hold_and_metrics_alone_never_ask_for_none(
    data: st.DataObject, policy: Policy, current: int
) -> None:
    story = Story(policy, current)

    for values, others in data.draw(looks(policy)):
        decision = story.look(*values, in_flight=others["qps"], **others)

        assert policy.min <= decision.wanted <= policy.max
        if decision.wanted == 0:
            assert decision.policy == "zero"


@given(st.data(), POLICIES, st.integers(1, 90))
def test_nothing_is_scaled_in_while_a_metric_is_missing(
    data: st.DataObject, policy: Policy, current: int
) -> None:
    story = Story(policy, policy.bounded(current))

    for values, others in data.draw(looks(policy)):
        before = story.current
        values[data.draw(st.integers(0, len(values) - 1))] = None

        assert story.look(*values, in_flight=0.0, **others).wanted >= before


@given(st.data(), POLICIES, st.integers(1, 90))
def test_after_a_restart_nothing_leaves_before_a_whole_window(
    data: st.DataObject, policy: Policy, current: int
) -> None:
    story = Story(replace(policy, min=max(1, policy.min)), policy.bounded(max(1, current)))
    began = story.now

    for values, others in data.draw(looks(policy)):
        before, now = story.current, story.now
        after = story.look(*values, in_flight=0.0, **others).wanted

        assert after >= before or now - began >= policy.down_s


@given(POLICIES, st.integers(1, 30), VALUES, VALUES)
def test_more_load_never_asks_for_fewer(policy: Policy, current: int, load: float, more: float) -> None:
    policy = replace(policy, min=max(1, policy.min))

    def decided(value: float) -> int:
        return Story(policy, policy.bounded(current)).look(*[value for _ in policy.targets]).wanted

    assert decided(load) <= decided(load + more)


@given(st.lists(st.floats(0.91, 1.09), min_size=1, max_size=60), st.integers(1, 50))
def test_within_a_tenth_of_the_threshold_nothing_flaps(shares: list[float], current: int) -> None:
    story = Story(
        Policy(1, 100, (Target("qps", 10),), down_s=0, measure_s=1, burst=Burst(enabled=False)), current
    )

    assert {story.look(share * 10 * current).wanted for share in shares} == {current}


@given(POLICIES, st.integers(0, 30), VALUES, st.integers(0, 20))
def test_a_size_that_a_steady_load_led_to_stays(
    policy: Policy, current: int, load: float, waiting: int
) -> None:
    policy = replace(policy, targets=(Target("qps", 10),), min=max(1, policy.min), up_s=0, down_s=0)
    story = Story(policy, policy.bounded(current))
    story.for_s(100, load)

    assert len(set(story.for_s(50, load))) == 1
