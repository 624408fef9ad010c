"""Whatever users, agents and gateways do, and in whatever order: what the scheduler never does, and that it
comes to rest."""

import asyncio
import contextlib
import json

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from libs.db.changes import Changes
from libs.domain.errors import EaselError
from libs.domain.records import Instance
from libs.domain.states import ServiceState
from services.scheduler.facts import facts_of
from services.scheduler.rollout.begin import Action, PlanAsked
from services.scheduler.rollout.groups import serving
from tests.support.model_cluster import Cluster, a_cluster, a_spec_of, newest

NAMES = ("digits", "letters")
SAYINGS = ("starting", "ready", "crashing", "ready", "gone")
TREATMENTS = ("delete", "restart", "isolate", "put back", "detach")

names, places = st.sampled_from(NAMES), st.integers(0, 50)
counts = st.integers(0, 2)
PLANS = st.one_of(
    st.builds(PlanAsked, partition=st.sampled_from(["1", "50%"]), paused=st.booleans()),
    st.builds(PlanAsked, batch_size=st.sampled_from(["1", "50%"]), interval_s=st.sampled_from([None, 3])),
)
CREATIONS = st.tuples(st.just("create"), names, st.integers(1, 4), counts, counts)
STEPS = st.one_of(
    CREATIONS,
    st.tuples(st.just("scale"), names, st.integers(0, 4)),
    st.tuples(st.sampled_from(["update", "restart"]), names),
    st.tuples(st.just("staged update"), names, PLANS),
    st.tuples(st.just("steer"), names, st.sampled_from(list(Action))),
    st.tuples(st.just("undo"), names),
    st.tuples(st.just("treat"), places, st.sampled_from(TREATMENTS)),
    st.tuples(st.just("drain"), st.integers(0, 1), st.booleans()),
    st.tuples(st.sampled_from(["stop", "start", "delete"]), names),
    st.tuples(st.just("report"), places, st.sampled_from(SAYINGS)),
    st.tuples(st.sampled_from(["all ready", "all stopped", "all routed"])),
    st.tuples(st.just("routed"), places),
    st.tuples(st.just("wait"), st.integers(1, 8)),
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(CREATIONS, st.lists(STEPS, max_size=40), st.integers(1, 2))
def test_no_order_of_events_breaks_a_promise_and_all_comes_to_rest(
    creation: tuple[object, ...], steps: list[tuple[object, ...]], gateways: int
) -> None:
    began: list[tuple[object, ...]] = [creation, ("all ready",), ("all routed",)]
    asyncio.run(promises_hold([*began, *steps], gateways))


async def promises_hold(steps: list[tuple[object, ...]], gateways: int) -> None:
    cluster = await a_cluster(nodes=2, gateways=gateways)
    for number, step in enumerate(steps):
        with contextlib.suppress(EaselError):  # a user may ask for what cannot be
            await carry_out(cluster, number, step)
        await checked_turn(cluster)
    await comes_to_rest(cluster)


async def carry_out(cluster: Cluster, number: int, step: tuple[object, ...]) -> None:
    match step:
        case "report", int(place), str(what):
            await report(cluster, place, what)
        case "routed", int(place):
            cluster.apply_routes(cluster.played[place % len(cluster.played)])
        case "wait", int(seconds):
            cluster.wait(seconds)
        case ("all routed",):
            for gateway in cluster.played:
                cluster.apply_routes(gateway)
        case (("all ready" | "all stopped") as what,):
            await everyone_obeys(cluster, what == "all ready", what == "all stopped")
        case _:
            await ask(cluster, number, step)


async def ask(cluster: Cluster, number: int, step: tuple[object, ...]) -> None:
    """What a user does."""
    match step:
        case "create", str(name), int(wanted), int(surge), int(unavailable):
            await cluster.services.create(a_spec_of(name, wanted, surge, unavailable), "")
        case "scale", str(name), int(wanted):
            await cluster.services.scale(name, wanted, "")
        case "update", str(name):
            await cluster.update(name, str(number))
        case "staged update", str(name), PlanAsked() as plan:
            await cluster.update(name, str(number), plan)
        case "steer", str(name), Action() as action:
            await cluster.services.control_rollout(name, action)
        case "undo", str(name):
            await cluster.services.undo_rollout(name)
        case "drain", int(node), bool(draining):
            await cluster.drain(f"n{node}", draining)
        case "treat", int(place), str(what):
            await treat(cluster, place, what)
        case ("stop" | "start" | "restart" | "delete") as verb, str(name):
            cluster.wait(0.001)
            await getattr(cluster.services, verb)(name)


async def report(cluster: Cluster, place: int, what: str) -> None:
    placed = sorted((i for i in cluster.ledger.world.instances.values() if i.node), key=lambda i: i.id)
    if placed:
        instance = placed[place % len(placed)]
        if what != "gone" or instance.stopping:
            await cluster.say(instance, what)


async def treat(cluster: Cluster, place: int, what: str) -> None:
    known = sorted(cluster.ledger.world.instances.values(), key=lambda i: i.id)
    if known:
        await cluster.treat(known[place % len(known)], what)


async def everyone_obeys(cluster: Cluster, ready: bool, stopped: bool) -> None:
    for instance in tuple(cluster.ledger.world.instances.values()):
        if instance.stopping and stopped:
            await cluster.say(instance, "gone")
        elif instance.node and not instance.stopping and ready:
            await cluster.say(instance, "ready")


async def checked_turn(cluster: Cluster) -> Changes:
    before = {name: cluster.counted(name) for name in cluster.ledger.world.services}
    stopping = {i.id for i in cluster.told_to_stop()}
    runs = {i.id: i.run for i in cluster.ledger.world.instances.values()}
    changes = await cluster.turn()
    for name, live in before.items():
        if name in cluster.ledger.world.services:
            assert_bounds(cluster, name, live)
    for instance in cluster.told_to_stop():
        if instance.id not in stopping:
            assert_unrouted(cluster, instance)
    for instance in cluster.ledger.world.instances.values():
        if instance.run > runs.get(instance.id, 0):
            assert_unrouted(cluster, instance)
    assert_nothing_given_twice(cluster)
    return changes


def assert_bounds(cluster: Cluster, name: str, before: list[Instance]) -> None:
    """Never more than wanted and surge, never fewer serving than an update may leave, if not so before."""
    service, facts = cluster.ledger.world.service(name), facts_of(newest(cluster, name).spec_json)
    wanted = 0 if service.stopped or service.deleting else service.wanted
    after = cluster.counted(name)
    assert len(after) <= max(len(before), wanted + facts.surge(wanted))
    isolated = sum(i.isolated for i in after)
    least = wanted - facts.unavailable(wanted) - isolated
    assert serving(after) >= min(serving(before), least)


def assert_unrouted(cluster: Cluster, instance: Instance) -> None:
    for gateway in cluster.played:
        assert instance.id not in gateway.routes, (
            f"{instance.id} was stopped while {gateway.link.name} routed to it"
        )


def assert_nothing_given_twice(cluster: Cluster) -> None:
    ports = [(i.node, i.host_port) for i in cluster.ledger.world.instances.values() if i.host_port]
    assert len(ports) == len(set(ports))


async def comes_to_rest(cluster: Cluster) -> None:
    """With agents and gateways that do as they are told, everything ends where it is wanted, and stays."""
    await nobody_holds_it_up(cluster)
    for _ in range(90):
        changed = bool(await checked_turn(cluster))
        await everyone_obeys(cluster, ready=True, stopped=True)
        for gateway in cluster.played:
            cluster.apply_routes(gateway)
        cluster.wait(1)
        leaving = any(i.drain_started_at for i in cluster.ledger.world.instances.values())
        if not changed and not leaving and not await cluster.turn():
            break
    else:
        raise AssertionError(
            f"still changing: {json.dumps([s.why for s in cluster.ledger.world.services.values()])}"
        )
    for name, service in cluster.ledger.world.services.items():
        assert not service.deleting
        runs = service.wanted and not service.stopped
        assert service.state is (ServiceState.RUNNING if runs else ServiceState.STOPPED)
        live = cluster.counted(name)
        assert len(live) == (0 if service.stopped else service.wanted)
        assert all(i.routed and i.version == service.version for i in live)
        apart = [i for i in cluster.instances(name) if i not in live]
        assert all(i.detached for i in apart)
        assert service.stopped or not service.wanted or service.stable_version == service.version


async def nobody_holds_it_up(cluster: Cluster) -> None:
    """Nodes are open, what is isolated is put back, and updates go all the way."""
    for node in ("n0", "n1"):
        await cluster.drain(node, False)
    for instance in tuple(cluster.ledger.world.instances.values()):
        with contextlib.suppress(EaselError):
            await cluster.treat(instance, "put back")
    for name in cluster.ledger.world.services:
        with contextlib.suppress(EaselError):
            await cluster.services.control_rollout(name, Action.PROMOTE)
