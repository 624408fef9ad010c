"""Groups, releases and ramps, as any client and a gateway see them."""

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration

from easel.admin.v1 import admin_pb2
from easel.common.v1 import common_pb2
from easel.gateway.v1 import gateway_pb2
from tests.support.builders import a_spec
from tests.support.scheduler_harness import (
    DEADLINE,
    LinkedAgent,
    LinkedGateway,
    RunningScheduler,
    a_gateway,
    a_scheduler,
    an_agent,
)
from tests.support.waiting import until

GROUPING, STANDALONE = admin_pb2.TRAFFIC_STATE_GROUPING, admin_pb2.TRAFFIC_STATE_STANDALONE
PRECONDITION = grpc.StatusCode.FAILED_PRECONDITION


@dataclass
class Shop:
    """A group of an old member and a canary, one ready instance each, with a gateway that follows them."""

    scheduler: RunningScheduler
    gateway: LinkedGateway
    agent: LinkedAgent

    async def release(self, name: str, **fields: Any) -> admin_pb2.Service:
        request = admin_pb2.ReleaseServiceRequest(name=name, **fields)
        return (await self.scheduler.groups.ReleaseService(request, timeout=DEADLINE)).service

    async def group(self) -> admin_pb2.Group:
        request = admin_pb2.GetGroupRequest(name="shop")
        return (await self.scheduler.groups.GetGroup(request, timeout=DEADLINE)).group

    async def ramp(self, **plan: Any) -> admin_pb2.Ramp:
        base = {"steps": [50, 100], "every": Duration(seconds=1), "max_error_rate": 0.05, **plan}
        request = admin_pb2.StartRampRequest(name="canary", plan=admin_pb2.RampPlan(**base))
        return (await self.scheduler.groups.StartRamp(request, timeout=DEADLINE)).ramp

    async def end(self, back: bool) -> admin_pb2.Ramp:
        request = admin_pb2.EndRampRequest(name="canary", back=back)
        return (await self.scheduler.groups.EndRamp(request, timeout=DEADLINE)).ramp

    def weights(self) -> dict[str, int]:
        group = self.gateway.groups.get("shop", gateway_pb2.GroupRoute())
        return {member.service: member.weight for member in group.members}

    async def routed(self, weights: dict[str, int]) -> None:
        await until(lambda: self.weights() == weights, f"the gateway to share by {weights}")


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    async with AsyncExitStack() as owned:
        scheduler = await owned.enter_async_context(a_scheduler(tmp_path))
        agent = await owned.enter_async_context(an_agent(scheduler))
        gateway = await owned.enter_async_context(a_gateway(scheduler))
        for name in ("old", "canary"):
            await scheduler.create(a_spec(name, group="shop"))
        assigned = await agent.sees(lambda a: len(a.assigned) == 2 and list(a.assigned), "two assignments")
        for port, instance in enumerate(assigned, start=20000):
            agent.say_ready(instance, port)
        made = Shop(scheduler, gateway, agent)
        await until(lambda: gateway.endpoints("old") and gateway.endpoints("canary"), "both to be routed to")
        yield made


async def refusal(call: Any) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value.code(), caught.value.details() or ""


async def changed(scheduler: RunningScheduler, name: str, **metadata: Any) -> admin_pb2.Service:
    request = admin_pb2.UpdateServiceRequest(
        name=name,
        spec_json=json.dumps({"metadata": metadata}),
        mode=admin_pb2.UpdateServiceRequest.MODE_MERGE,
    )
    return (await scheduler.services.UpdateService(request, timeout=DEADLINE)).service


async def names(scheduler: RunningScheduler, **asked: Any) -> list[str]:
    answer = await scheduler.groups.ListGroups(admin_pb2.ListGroupsRequest(**asked), timeout=DEADLINE)
    return [group.name for group in answer.groups]


# -------------------------------------------------------------------- groups


async def test_the_first_member_takes_the_requests_of_a_group_until_others_are_released(shop: Shop) -> None:
    old, canary = await shop.scheduler.service("old"), await shop.scheduler.service("canary")
    group = await shop.group()

    assert (old.group, old.traffic_state, old.traffic_share) == ("shop", GROUPING, 1.0)
    assert (canary.group, canary.traffic_state, canary.traffic_share) == ("shop", STANDALONE, 0.0)
    assert [(m.service, m.ready, m.share) for m in group.members] == [("canary", 1, 0.0), ("old", 1, 1.0)]
    assert group.endpoint.endswith("/api/predict/shop")
    await shop.routed({"old": 1})


async def test_a_group_lives_as_long_as_it_has_members(tmp_path: Path) -> None:
    async with a_scheduler(tmp_path) as scheduler:
        await scheduler.create(a_spec("one", group="shop"))
        made = await names(scheduler)
        left = await changed(scheduler, "one", group=None)
        gone = await names(scheduler)
        await changed(scheduler, "one", group="other")
        other = await names(scheduler)
        await scheduler.services.DeleteService(admin_pb2.DeleteServiceRequest(name="one"), timeout=DEADLINE)

        async def nothing_left() -> bool:
            return not await names(scheduler)

        await until(nothing_left, "the group to go with its last member")
        reasons = await scheduler.event_reasons()

    assert (made, gone, other) == (["shop"], [], ["other"])
    assert (left.group, left.traffic_state, left.weight) == ("", STANDALONE, -1)
    assert [reason for reason in reasons if reason.startswith("Group")] == [
        "GroupJoined",
        "GroupCreated",
        "GroupLeft",
        "GroupDeleted",
        "GroupJoined",
        "GroupCreated",
        "GroupDeleted",
    ]


async def test_a_group_that_was_created_stays_without_members_and_is_listed_by_its_labels(
    tmp_path: Path,
) -> None:
    async with a_scheduler(tmp_path) as scheduler:
        for name, team in (("shop", "web"), ("shop-eu", "web"), ("desk", "office")):
            request = admin_pb2.CreateGroupRequest(name=name, labels={"team": team})
            await scheduler.groups.CreateGroup(request, timeout=DEADLINE)
        by_label = await names(scheduler, labels={"team": "web"})
        by_name = await names(scheduler, filter="eu")
        first = await scheduler.groups.ListGroups(admin_pb2.ListGroupsRequest(page_size=2), timeout=DEADLINE)
        rest = await names(scheduler, page_size=2, page_token=first.next_page_token)
        taken = await refusal(scheduler.create(a_spec("shop")))

    assert (by_label, by_name, rest) == (["shop", "shop-eu"], ["shop-eu"], ["shop-eu"])
    assert taken[0] is grpc.StatusCode.ALREADY_EXISTS
    assert "there is a group 'shop' already" in taken[1]


async def test_a_group_is_deleted_with_its_members_only_when_that_is_asked_for(shop: Shop) -> None:
    delete = shop.scheduler.groups.DeleteGroup
    refused = await refusal(delete(admin_pb2.DeleteGroupRequest(name="shop"), timeout=DEADLINE))
    answer = await delete(admin_pb2.DeleteGroupRequest(name="shop", cascade=True), timeout=DEADLINE)
    repeated = await delete(admin_pb2.DeleteGroupRequest(name="shop", cascade=True), timeout=DEADLINE)
    deleting = (await shop.scheduler.service("old")).state

    assert refused[0] is PRECONDITION
    assert "members (canary, old)" in refused[1]
    assert list(answer.deleted_services) == ["canary", "old"]
    assert list(repeated.deleted_services) == []
    assert deleting == common_pb2.SERVICE_STATE_DELETING

    def all_gone() -> bool:
        shop.gateway.applied()
        for instance, assignment in shop.agent.assigned.items():
            if assignment.stop:
                shop.agent.say(instance, gone=True)
        return "shop" not in shop.gateway.groups and not shop.gateway.routes

    await until(all_gone, "the group to go with its members")


async def test_what_is_set_of_a_group_reaches_the_gateway(shop: Shop) -> None:
    rules = admin_pb2.MemberRules(rules=[admin_pb2.MemberRule(service="canary", header="x-tester")])
    request = admin_pb2.UpdateGroupRequest(name="shop", sticky_cookie="seat", rules=rules)
    group = (await shop.scheduler.groups.UpdateGroup(request, timeout=DEADLINE)).group

    assert (group.sticky_cookie, [rule.service for rule in group.rules]) == ("seat", ["canary"])
    await shop.routed({"canary": 0, "old": 1})
    told = shop.gateway.groups["shop"]
    assert (told.sticky_cookie, told.rules[0].header) == ("seat", "x-tester")
    assert list(told.token_ids) == ["group:shop"]


async def test_an_update_that_goes_back_takes_the_service_back_into_its_group(shop: Shop) -> None:
    left = await changed(shop.scheduler, "canary", group=None)
    await shop.release("old", traffic_state=STANDALONE)
    request = admin_pb2.UpdateServiceRequest(name="canary", to_version=1)
    back = (await shop.scheduler.services.UpdateService(request, timeout=DEADLINE)).service

    assert (left.group, back.group) == ("", "shop")
    assert back.traffic_state == GROUPING, "nobody else takes the requests of the group"


async def test_a_plan_says_what_becomes_of_groups(shop: Shop) -> None:
    update = admin_pb2.UpdateServiceRequest(
        name="canary",
        spec_json=json.dumps({"metadata": {"group": "desk"}}),
        mode=admin_pb2.UpdateServiceRequest.MODE_MERGE,
    )
    plan = await shop.scheduler.services.PlanServiceUpdate(
        admin_pb2.PlanServiceUpdateRequest(update=update), timeout=DEADLINE
    )

    assert "it has left group 'shop' and takes none of its requests" in plan.steps
    assert await names(shop.scheduler) == ["shop"]


# ------------------------------------------------------------------ releases


async def test_a_release_by_weight_makes_the_group_go_by_weights(shop: Shop) -> None:
    await shop.release("old", weight=90)
    canary = await shop.release("canary", traffic_state=GROUPING, weight=10)

    assert canary.traffic_share == pytest.approx(0.1)
    assert (await shop.group()).traffic_mode == admin_pb2.TRAFFIC_MODE_CUSTOMIZED
    await shop.routed({"canary": 10, "old": 90})


async def test_a_watch_tells_of_every_member_whose_share_is_another(shop: Shop) -> None:
    watch = shop.scheduler.services.WatchServices(admin_pb2.WatchServicesRequest(), timeout=DEADLINE)
    shares: dict[str, float] = {}

    async def read(wanted: dict[str, float]) -> None:
        while shares != wanted:
            told = await watch.read()
            shares[told.service.name] = told.service.traffic_share
            shares.pop("", None)

    await read({"canary": 0.0, "old": 1.0})
    await shop.release("canary", traffic_state=GROUPING)
    await read({"canary": 0.5, "old": 0.5})
    watch.cancel()


async def test_a_release_without_weight_goes_by_ready_instances(shop: Shop) -> None:
    canary = await shop.release("canary", traffic_state=GROUPING)

    assert canary.traffic_share == pytest.approx(0.5)
    await shop.routed({"canary": 1, "old": 1})


# --------------------------------------------------------------------- ramps


def report(shop: Shop, tick: list[int], failing: int = 0) -> None:
    """The gateway has counted a hundred more requests of each member; `failing` of the canary's failed."""
    tick[0] += 1
    counts = [
        common_pb2.ServiceTraffic(
            service=name,
            version=1,
            requests=100 * tick[0],
            status_5xx=failing * tick[0] if name == "canary" else 0,
            latency=[common_pb2.LatencyBucket(upper_ms=10, count=100 * tick[0])],
        )
        for name in shop.gateway.watched
    ]
    shop.gateway.say(traffic=gateway_pb2.TrafficReport(services=counts))


async def over(shop: Shop, failing: int = 0) -> admin_pb2.Ramp:
    """The ramp, once it is over, with numbers that come in all the time."""
    tick = [0]

    async def finished() -> admin_pb2.Ramp | None:
        report(shop, tick, failing)
        ramp = (await shop.group()).ramp
        return ramp if ramp.phase != admin_pb2.Ramp.PHASE_RUNNING else None

    return await until(finished, "the ramp to be over", 30)


async def test_a_ramp_takes_a_good_member_to_all_requests_step_by_step(shop: Shop) -> None:
    begun = await shop.ramp()
    await shop.routed({"canary": 1, "old": 1})

    ramp = await over(shop)

    assert (begun.phase, begun.step, list(begun.plan.steps)) == (admin_pb2.Ramp.PHASE_RUNNING, 0, [50, 100])
    assert ramp.phase == admin_pb2.Ramp.PHASE_COMPLETED
    assert ramp.why.startswith("it has all requests of its group: 100 % went well: 0 % of ")
    assert (await shop.scheduler.service("canary")).traffic_share == 1.0
    await shop.routed({"canary": 100, "old": 0})
    reasons = await shop.scheduler.event_reasons("canary")
    assert [r for r in reasons if r.startswith("Ramp")] == ["RampStarted", "RampStepped", "RampCompleted"]
    await until(lambda: not shop.gateway.watched, "the gateway to be asked no longer")


async def test_a_ramp_takes_a_bad_member_back_and_says_why(shop: Shop) -> None:
    await shop.ramp(every=Duration(seconds=3600))

    ramp = await over(shop, failing=50)

    canary = await shop.scheduler.service("canary")
    assert ramp.phase == admin_pb2.Ramp.PHASE_WENT_BACK
    assert "requests failed (5 % allowed)" in ramp.why
    assert (canary.traffic_state, canary.traffic_share) == (STANDALONE, 0.0)
    await shop.routed({"old": 1})


async def test_a_ramp_without_numbers_waits_and_says_so_and_can_be_ended(shop: Shop) -> None:
    await shop.ramp(steps=[20])

    async def said() -> bool:
        return "no gateway has told numbers lately" in (await shop.group()).ramp.why

    await until(said, "the ramp to say what it waits for")
    refused = await refusal(shop.release("old", weight=5))
    again = await refusal(shop.ramp())
    ended = await shop.end(back=False)

    assert refused[0] is again[0] is PRECONDITION
    assert "easel release canary --end" in refused[1]
    assert ended.phase == admin_pb2.Ramp.PHASE_ENDED
    await shop.routed({"canary": 20, "old": 80})


async def test_a_member_that_stops_being_ready_is_taken_back(shop: Shop) -> None:
    await shop.ramp()
    (instance,) = shop.gateway.endpoints("canary")
    shop.agent.say(instance, state=common_pb2.INSTANCE_STATE_RUNNING, ready=False, why="answered 500")

    ramp = await over(shop)

    assert (ramp.phase, ramp.why) == (admin_pb2.Ramp.PHASE_WENT_BACK, "it has no ready instance any more")


async def test_a_ramp_goes_on_after_a_restart_of_the_scheduler(tmp_path: Path) -> None:
    async with AsyncExitStack() as owned:
        scheduler = await owned.enter_async_context(a_scheduler(tmp_path))
        agent = await owned.enter_async_context(an_agent(scheduler))
        for name in ("old", "canary"):
            await scheduler.create(a_spec(name, group="shop"))
        assigned = await agent.sees(lambda a: len(a.assigned) == 2 and list(a.assigned), "two assignments")
        for port, instance in enumerate(assigned, start=20000):
            agent.say_ready(instance, port)

        async def ready() -> bool:
            return bool((await scheduler.service("canary")).ready and (await scheduler.service("old")).ready)

        await until(ready, "both to be ready")
        gateway = await owned.enter_async_context(a_gateway(scheduler))
        await Shop(scheduler, gateway, agent).ramp(steps=[30, 100])

    async with (
        a_scheduler(tmp_path) as scheduler,
        an_agent(scheduler, running=tuple(assigned)) as agent,
        a_gateway(scheduler) as gateway,
    ):
        shop = Shop(scheduler, gateway, agent)
        await shop.routed({"canary": 3, "old": 7})
        ramp = await over(shop)

    assert ramp.phase == admin_pb2.Ramp.PHASE_COMPLETED
