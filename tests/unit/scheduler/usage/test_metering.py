"""A stay begins with the placement and ends once, whatever ends it and whoever is killed in between."""

from dataclasses import replace
from datetime import datetime

from hypothesis import given
from hypothesis import strategies as st

from libs.db.changes import Changes
from libs.domain.records import Instance, Resources
from libs.domain.scaling import Usage
from libs.domain.states import InstanceState
from services.scheduler.ledger import Ledger
from services.scheduler.usage.metering import open_usage, with_usage
from services.scheduler.usage.sums import sums
from services.scheduler.usage.upgrade import counted_from
from services.scheduler.world import World
from tests.support.builders import (
    a_node,
    a_ready_instance,
    a_service,
    a_spec,
    a_version,
    a_world,
    an_instance,
    at,
)
from tests.support.memory_store import MemoryStore

PLACED = a_ready_instance(
    placed_at=at(0),
    resource_group="own",
    pool="dedicated",
    instance_type="big",
    price=2.0,
    resources=Resources(500, 64),
)


def world_with(*instances: Instance) -> World:
    version = a_version(spec=a_spec(workspace_id="w1"))
    return a_world(a_service(), version, *instances)


def test_a_stay_ends_with_the_record() -> None:
    changes = with_usage(world_with(PLACED), Changes(delete=(PLACED,)), at(60))

    assert changes.usage == (
        Usage(
            instance=PLACED.id,
            service="digits",
            workspace="w1",
            resource_group="own",
            pool="dedicated",
            instance_type="big",
            node="n1",
            begin=at(0),
            end=at(60),
            cpu_milli=500,
            memory_mib=64,
            gpus=0,
            price=2.0,
        ),
    )


def test_a_stay_ends_when_its_node_is_given_up_on() -> None:
    lost = replace(PLACED, state=InstanceState.LOST)

    assert len(with_usage(world_with(PLACED), Changes(put=(lost,)), at(60)).usage) == 1
    assert with_usage(world_with(lost), Changes(delete=(lost,)), at(90)).usage == ()


def test_a_new_placement_ends_one_stay_and_begins_another() -> None:
    moved = replace(PLACED, node="n2", placed_at=at(30), price=1.0)

    changes = with_usage(world_with(PLACED), Changes(put=(moved,)), at(30))

    assert [(each.node, each.begin, each.end) for each in changes.usage] == [("n1", at(0), at(30))]


def test_a_report_on_an_instance_ends_nothing() -> None:
    assert with_usage(world_with(PLACED), Changes(put=(replace(PLACED, restarts=3),)), at(60)).usage == ()


def test_what_has_no_node_yet_uses_nothing() -> None:
    waiting = an_instance()

    assert with_usage(world_with(waiting), Changes(delete=(waiting,)), at(60)).usage == ()
    assert list(open_usage(world_with(waiting), at(60))) == []


def test_a_clock_that_went_back_takes_nothing_off() -> None:
    assert with_usage(world_with(PLACED), Changes(delete=(PLACED,)), at(-60)).usage == ()


def test_what_runs_from_before_usage_was_counted_is_counted_from_the_first_start() -> None:
    before = a_ready_instance()
    node = a_node(labels={"easel/instance-type": "big", "easel/price": "2"})
    world = a_world(a_service(), a_version(), node, before)

    (counted,) = counted_from(world, at(5)).put

    assert isinstance(counted, Instance)
    assert (counted.placed_at, counted.pool, counted.instance_type, counted.price) == (
        at(5),
        "public",
        "big",
        2,
    )
    assert not counted_from(a_world(a_service(), a_version(), node, counted), at(6))


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["place", "lose", "delete", "report", "restart"]),
        st.integers(0, 2),
        st.integers(1, 500),
    ),
    max_size=40,
)


@given(STEPS)
async def test_sums_are_exact_over_any_history_and_any_restart(steps: list[tuple[str, int, int]]) -> None:
    store, clock = MemoryStore(), 0
    began: dict[str, int] = {}
    expected = 0

    def now() -> datetime:
        return at(clock / 10)

    async def started() -> Ledger:
        return Ledger(store, World(await store.load()), lambda world, made: with_usage(world, made, now()))

    ledger = await started()
    await ledger.change(
        lambda _: Changes(put=(replace(a_service(), revision=0), replace(a_version(), revision=0)))
    )
    for what, n, later in steps:
        clock += later
        name = f"digits-{n}"
        known = ledger.world.instances.get(name)
        held = began.get(name)
        if what == "restart":
            ledger = await started()
            continue
        if what == "place":
            fresh = known or replace(an_instance(name), revision=0)
            made = replace(fresh, state=InstanceState.SCHEDULED, node="n1", placed_at=now())
            began[name] = clock
        elif known is None:
            continue
        elif what == "lose":
            made = replace(known, state=InstanceState.LOST)
            began.pop(name, None)
        elif what == "report":
            made = replace(known, restarts=known.restarts + 1)
            held = None
        if what == "delete":
            began.pop(name, None)
            await ledger.change(lambda world, name=name: Changes(delete=(world.instances[name],)))
        else:
            await ledger.change(lambda world, made=made: Changes(put=(made,)))
        expected += clock - held if held is not None else 0
    expected += sum(clock - begin for begin in began.values())

    rows = [*await store.usage(at(-1), at(1_000_000)), *open_usage(ledger.world, now())]
    total = sums(rows, at(-1), at(1_000_000), ("service",))

    assert sum(each.instance_ms for each in total.values()) == expected * 100
