"""What a service needs next, when nothing is wrong with its newest version."""

from libs.domain.states import InstanceState, RolloutPhase
from tests.support.builders import a_node, a_ready_instance, an_instance, at
from tests.unit.scheduler.rollout.situations import (
    coming_back,
    crashing,
    created,
    news,
    olds,
    planned,
    removed,
    starting,
    updated,
)


def test_missing_instances_are_made() -> None:
    plan = planned([a_ready_instance()], service={"wanted": 3})

    assert (created(plan), removed(plan)) == ([1, 1], [])
    assert plan.why == "3 instances are wanted"


def test_a_lost_instance_is_replaced() -> None:
    plan = planned([a_ready_instance(state=InstanceState.LOST, ready=False)])

    assert created(plan) == [1]


def test_a_surplus_is_removed_from_what_does_not_serve_first_and_then_from_the_youngest() -> None:
    instances = [
        a_ready_instance("old", created_at=at(0)),
        a_ready_instance("young", created_at=at(9)),
        starting("starting", version=1),
    ]

    assert removed(planned(instances)) == ["starting", "young"]


def test_what_is_isolated_leaves_last_but_outlives_no_serving_instance() -> None:
    isolated = a_ready_instance("isolated", isolated=True)
    serving = [a_ready_instance("a", created_at=at(0)), a_ready_instance("b", created_at=at(1))]

    assert removed(planned([isolated, *serving], service={"wanted": 2})) == ["b"]
    assert removed(planned([isolated, *serving], service={"wanted": 1})) == ["isolated", "b"]


def test_an_update_starts_the_new_instance_before_the_old_one_leaves() -> None:
    before = updated(olds(1), wanted=1)
    during = updated([*olds(1), starting()], wanted=1)
    after = updated([*olds(1), *news(1)], wanted=1)

    assert (created(before), removed(before)) == ([2], [])
    assert (created(during), removed(during)) == ([], [])
    assert (created(after), removed(after)) == ([], ["old-0"])


def test_instances_without_a_port_are_replaced_like_others() -> None:
    assert removed(updated([*olds(1, port=0), *news(1, port=0)], wanted=1)) == ["old-0"]
    assert removed(updated([*olds(1, port=0), starting()], wanted=1)) == []


def test_an_update_without_a_record_goes_on_in_the_same_way() -> None:
    plan = planned([*olds(1), *news(1)], service={"version": 2})

    assert removed(plan) == ["old-0"]


def test_an_update_is_finished_when_every_instance_serves_and_is_then_the_last_good_version() -> None:
    plan = updated(news(2), wanted=2)

    assert plan.rollout is not None
    assert (plan.rollout.phase, plan.rollout.finished_at) == (RolloutPhase.COMPLETED, at(60))
    assert plan.stable_version == 2


def test_the_first_version_is_a_good_one_once_every_instance_serves() -> None:
    assert planned([a_ready_instance()]).stable_version == 1
    assert planned([starting(version=1)]).stable_version == 0


def test_old_instances_that_never_served_or_are_in_trouble_leave_at_once() -> None:
    stuck = [
        starting("a", version=1),
        crashing("b", version=1, ready_at=at(0)),
        an_instance("c", why="no room"),
    ]

    plan = updated([*stuck, *olds(1)], wanted=2)

    assert removed(plan) == ["a", "b", "c"]
    assert created(plan) == [2, 2]


def test_an_old_instance_that_is_coming_back_is_not_given_up_for_one_that_never_served() -> None:
    assert removed(updated([coming_back("old")], wanted=1)) == []
    assert removed(updated([coming_back("old"), starting()], wanted=1)) == []
    assert removed(updated([coming_back("old"), *news(1)], wanted=1)) == ["old"]


def test_without_surge_an_old_instance_leaves_first_as_far_as_some_may_be_missing() -> None:
    plan = updated(olds(3), wanted=3, surge=0, unavailable=1)

    assert (created(plan), removed(plan)) == ([2], ["old-0"])


def test_missing_instances_are_allowed_only_where_a_successor_finds_no_room() -> None:
    waiting = an_instance("new", version=2, why="public: 1 node lacks 4 CPUs")

    assert removed(updated([*olds(2), starting()], wanted=2, unavailable=1)) == []
    assert removed(updated([*olds(2), waiting], wanted=2, unavailable=1)) == ["old-0"]
    assert removed(updated([*olds(2), waiting], wanted=2, unavailable=0)) == []


def test_nothing_is_given_up_for_a_successor_that_would_not_fit_even_then() -> None:
    waiting = an_instance("new", version=2, why="public: 1 node lacks 4 GPUs")

    plan = updated([*olds(2), waiting], wanted=2, unavailable=1, makes_room=lambda i: i.id == "old-1")

    assert removed(plan) == ["old-1"]


def test_a_stopped_service_loses_every_instance_but_the_detached_ones() -> None:
    instances = [
        a_ready_instance("a"),
        a_ready_instance("b", isolated=True),
        a_ready_instance("c", detached=True),
    ]

    assert set(removed(planned(instances, service={"stopped": True}))) == {"a", "b"}
    assert set(removed(planned(instances, service={"deleting": True}))) == {"a", "b", "c"}


def test_what_serves_is_all_replaced_when_a_service_shrinks_and_moves_at_once() -> None:
    nodes = {"n1": a_node("n1", draining=True), "n2": a_node("n2")}
    here = [a_ready_instance(f"here-{n}", node="n1") for n in range(4)]

    plan = planned(here, service={"wanted": 1}, nodes=nodes)

    assert (len(plan.remove), created(plan)) == (3, [1])
