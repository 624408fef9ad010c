"""Whatever happens in whatever order: instances that move to better nodes never lack in traffic."""

from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from libs.domain.states import InstanceState
from tests.unit.scheduler.pool.test_moving import MINUTE, POOL, SPOT, Stage, a_room, a_stage

STEPS = st.lists(
    st.sampled_from(["look", "turn", "agents", "room", "lack", "crash", "work", "restart", "out", "in"])
    | st.sampled_from(["minute", "dear", "cheap"]),
    max_size=50,
)
CLOUD = {
    "computing": {
        "instances": [
            {"type": "dedicated_resource"},
            {"type": "ecs.spot", "spot_price_limit": 0.5, "capacity": "50%"},
            {"type": "ecs.firm"},
        ]
    }
}


async def step(stage: Stage, what: str) -> None:
    world = stage.ledger.world
    service, cpus = world.service("digits"), world.node("own").capacity.cpu_milli // 1000
    match what:
        case "look":
            await stage.rebalancing.look()
        case "turn":
            await stage.reconciler.reconcile(["digits"])
        case "agents":
            await stage.agents()
        case "room" | "lack":
            await stage.resize("own", max(0, cpus + (1 if what == "room" else -1)))
        case "crash":
            stage.crashes.add("own")
        case "work":
            stage.crashes.clear()
        case "restart":
            stage.restart()
        case "out" | "in":
            await stage.put(replace(service, wanted=max(1, service.wanted + (1 if what == "out" else -1))))
        case "minute":
            stage.clock[0] += MINUTE
        case "dear" | "cheap":
            labels = {**SPOT, "easel/price": "0.6" if what == "dear" else "0.2"}
            await stage.put(replace(world.node("spot"), labels=labels))


@settings(max_examples=60, deadline=None)
@given(STEPS, st.sampled_from([(0, 1), (1, 0), (2, 1)]), st.integers(1, 4))
async def test_no_move_takes_from_what_serves_and_in_the_end_all_is_where_it_is_best(
    steps: list[str], caps: tuple[int, int], wanted: int
) -> None:
    strategy: dict[str, Any] = {"rolling_strategy": {"max_surge": caps[0], "max_unavailable": caps[1]}}
    firm = a_room("firm", 60, labels={"easel/instance-type": "ecs.firm"})
    own, spot = a_room("own", 1, resource_group="lab"), a_room("spot", 3, labels=SPOT)
    stage = await a_stage(wanted, own, spot, firm, cloud=CLOUD, **POOL, **strategy)

    for what in steps:
        served = stage.where().total()
        await step(stage, what)
        assert stage.where().total() >= min(served, stage.ledger.world.service("digits").wanted), what

    stage.crashes.clear()
    crashed = (i for i in stage.live if i.state is InstanceState.CRASH_LOOP_BACK_OFF)
    await stage.put(*(stage.started(each) for each in crashed))
    for _ in range(30):
        stage.clock[0] += 12 * MINUTE
        await stage.rebalancing.look()
        await stage.settle()
    wanted = stage.ledger.world.service("digits").wanted
    cpus = stage.ledger.world.node("own").capacity.cpu_milli // 1000
    assert stage.where().total() == len(stage.live) == wanted
    assert stage.where()["own"] >= min(cpus, wanted)
    assert not any(i.replace_why for i in stage.live)
