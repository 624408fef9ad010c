"""What a service needs next."""

import json

from hypothesis import given
from hypothesis import strategies as st

from libs.domain.records import Instance
from libs.domain.states import InstanceState
from services.scheduler.facts import Facts, facts_of
from services.scheduler.reconcile.plan import plan_service
from tests.support.builders import a_node, a_ready_instance, a_service, a_spec, an_instance, at

NODES = {"n1": a_node("n1")}


def some_facts(**metadata: object) -> Facts:
    return facts_of(json.dumps(a_spec(**metadata)))


def removed(plan: object) -> list[str]:
    return [removal.instance.id for removal in plan.remove]  # type: ignore[attr-defined]


def test_missing_instances_are_made() -> None:
    plan = plan_service(a_service(wanted=3), some_facts(), [a_ready_instance()], NODES)

    assert (plan.create, removed(plan)) == (2, [])


def test_a_lost_instance_is_replaced() -> None:
    lost = a_ready_instance(state=InstanceState.LOST, ready=False)

    plan = plan_service(a_service(wanted=1), some_facts(), [lost], NODES)

    assert plan.create == 1


def test_a_surplus_is_removed_from_what_is_not_ready_first_and_then_from_the_youngest() -> None:
    instances = [
        a_ready_instance("old", created_at=at(0)),
        a_ready_instance("young", created_at=at(9)),
        an_instance("starting", state=InstanceState.STARTING, node="n1"),
    ]

    plan = plan_service(a_service(wanted=1), some_facts(), instances, NODES)

    assert removed(plan) == ["starting", "young"]


def test_an_update_starts_the_new_instance_before_the_old_one_leaves() -> None:
    old = a_ready_instance("old", version=1)
    service = a_service(wanted=1, version=2)

    before = plan_service(service, some_facts(), [old], NODES)
    starting = an_instance("new", version=2, state=InstanceState.STARTING, node="n1")
    during = plan_service(service, some_facts(), [old, starting], NODES)
    ready = a_ready_instance("new", version=2)
    after = plan_service(service, some_facts(), [old, ready], NODES)

    assert (before.create, removed(before)) == (1, [])
    assert (during.create, removed(during)) == (0, [])
    assert (after.create, removed(after)) == (0, ["old"])


def test_a_new_version_that_fails_leaves_the_old_one_serving() -> None:
    old = [a_ready_instance(f"old-{n}", version=1) for n in range(3)]
    failing = an_instance("new", version=2, state=InstanceState.CRASH_LOOP_BACK_OFF, node="n1")

    plan = plan_service(a_service(wanted=3, version=2), some_facts(), [*old, failing], NODES)

    assert (plan.create, removed(plan)) == (0, [])


def test_a_later_update_takes_out_the_failed_version_at_once() -> None:
    good = a_ready_instance("good", version=1)
    failed = an_instance("failed", version=2, state=InstanceState.CRASH_LOOP_BACK_OFF, node="n1")

    plan = plan_service(a_service(wanted=1, version=3), some_facts(), [good, failed], NODES)

    assert removed(plan) == ["failed"]


def test_a_drained_node_loses_its_instance_only_after_the_successor_is_ready() -> None:
    nodes = {"n1": a_node("n1", draining=True), "n2": a_node("n2")}
    here = a_ready_instance("here", node="n1")
    there = a_ready_instance("there", node="n2")

    first = plan_service(a_service(), some_facts(), [here], nodes)
    then = plan_service(a_service(), some_facts(), [here, there], nodes)

    assert (first.create, removed(first)) == (1, [])
    assert removed(then) == ["here"]


def test_a_restart_replaces_what_was_made_before_it() -> None:
    service = a_service(restarted_at=at(10))
    old, new = a_ready_instance("old", created_at=at(0)), a_ready_instance("new", created_at=at(11))

    assert removed(plan_service(service, some_facts(), [old, new], NODES)) == ["old"]


def test_an_instance_whose_port_another_program_took_is_placed_anew_and_says_so() -> None:
    nodes = {"n1": a_node("n1", busy_ports=(8000,))}
    blocked = an_instance(state=InstanceState.CRASH_LOOP_BACK_OFF, node="n1", host_port=8000)

    plan = plan_service(a_service(), some_facts(), [blocked], nodes)

    assert (plan.create, removed(plan)) == (1, ["digits-a"])
    assert plan.remove[0].why == "port 8000 of node n1 belongs to another program"


def test_a_stopped_service_loses_every_instance() -> None:
    plan = plan_service(a_service(stopped=True), some_facts(), [a_ready_instance()], NODES)

    assert (plan.create, removed(plan)) == (0, ["digits-a"])


@given(
    wanted=st.integers(0, 6),
    olds=st.lists(st.booleans(), max_size=6),
    news=st.lists(st.booleans(), max_size=6),
    unavailable=st.integers(0, 3),
)
def test_an_update_never_takes_out_more_ready_instances_than_allowed(
    wanted: int, olds: list[bool], news: list[bool], unavailable: int
) -> None:
    def some(version: int, readiness: list[bool]) -> list[Instance]:
        return [
            a_ready_instance(f"v{version}-{n}", version=version)
            if ready
            else an_instance(f"v{version}-{n}", version=version, state=InstanceState.STARTING, node="n1")
            for n, ready in enumerate(readiness)
        ]

    instances = some(1, olds) + some(2, news)
    facts = some_facts(rolling_strategy={"max_unavailable": unavailable})

    plan = plan_service(a_service(wanted=wanted, version=2), facts, instances, NODES)

    gone = set(removed(plan))
    ready_before = sum(i.ready for i in instances)
    ready_after = sum(i.ready for i in instances if i.id not in gone)
    assert ready_after >= min(ready_before, max(0, wanted - unavailable))
    assert len(instances) - len(gone) + plan.create <= max(len(instances), wanted + facts.surge(wanted))


def test_an_update_gets_past_old_instances_that_will_never_be_ready() -> None:
    stuck = [an_instance(f"old-{n}", state=InstanceState.STARTING, node="n1") for n in range(3)]
    successor = a_ready_instance("new", version=2)

    plan = plan_service(a_service(wanted=3, version=2), some_facts(), [*stuck, successor], NODES)

    assert len(plan.remove) == 1


@given(wanted=st.integers(1, 5), start=st.integers(0, 5))
def test_an_update_always_comes_to_an_end(wanted: int, start: int) -> None:
    service, facts = a_service(wanted=wanted, version=2), some_facts()
    instances = [a_ready_instance(f"old-{n}", version=1) for n in range(start)]
    for turn in range(40):
        plan = plan_service(service, facts, instances, NODES)
        if not plan.create and not plan.remove:
            break
        gone = set(removed(plan))
        instances = [i for i in instances if i.id not in gone]
        instances += [a_ready_instance(f"new-{turn}-{n}", version=2) for n in range(plan.create)]

    assert [i.version for i in instances] == [2] * wanted
