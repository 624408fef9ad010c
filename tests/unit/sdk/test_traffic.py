"""What the client library promises about groups, releases, mirrors, gateways and access tokens."""

import math
import re
from datetime import timedelta
from pathlib import Path

import pytest

from easel.admin.v1 import admin_pb2 as pb
from easel.common.v1 import common_pb2 as common
from easel_sdk import AsyncEasel, Easel
from easel_sdk.errors import FailedPrecondition, InvalidRequest, NotFound
from easel_sdk.types import (
    GatewayDomain,
    LatencyBucket,
    MemberRule,
    RampPhase,
    RampPlan,
    RouteTarget,
    TrafficMode,
    TrafficState,
)
from tests.support.fake_admin import ADMIN_TOKEN, FakeAdmin, fake_admin_thread, now

SDK = Path(__file__).parents[3] / "sdk" / "easel_sdk"
PLAN = RampPlan((5, 100), timedelta(minutes=2), max_error_rate=0.01, max_p99_increase=0.2, min_requests=20)


async def two_members(easel: AsyncEasel) -> None:
    for name in ("v1", "v2"):
        await easel.services.create({"name": name, "metadata": {"group": "llm"}})


async def test_every_call_of_the_admin_api_is_made_somewhere_in_the_library() -> None:
    source = "".join(path.read_text() for path in SDK.glob("*.py"))
    services = pb.DESCRIPTOR.services_by_name.values()

    missing = [
        f"{service.name}.{method.name}"
        for service in services
        for method in service.methods
        if not re.search(rf"self\._\w+\.{method.name}\b", source)
    ]

    assert missing == []


async def test_a_group_is_created_changed_listed_and_deleted(easel: AsyncEasel) -> None:
    made = await easel.groups.create("llm", traffic_mode="customized", labels={"team": "nlp"}, gateway="edge")
    rules = (MemberRule("v2", header="x-tester", value="yes"), MemberRule("v2", cookie="beta"))

    changed = await easel.groups.update("llm", sticky_cookie="member", sticky_header="x-user", rules=rules)
    emptied = await easel.groups.update("llm", sticky_header="", rules=())

    assert (made.kept, made.gateway, made.traffic_mode) == (True, "edge", TrafficMode.CUSTOMIZED)
    assert (changed.rules, changed.sticky_header, changed.sticky_cookie) == (rules, "x-user", "member")
    assert (emptied.rules, emptied.sticky_header, emptied.sticky_cookie) == ((), "", "member")
    assert [each.name async for each in easel.groups.list(labels={"team": "nlp"})] == ["llm"]
    assert await easel.groups.delete("llm") == ()
    with pytest.raises(NotFound):
        await easel.groups.get("llm")


async def test_members_are_released_by_weight_and_by_state(easel: AsyncEasel) -> None:
    await two_members(easel)
    await easel.services.release("v1", traffic_state="grouping", weight=3)

    released = await easel.services.release("v2", traffic_state=TrafficState.GROUPING, weight=1)
    group = await easel.groups.get("llm")

    assert (released.group, released.traffic_share, released.weight) == ("llm", 0.25, 1)
    assert [(each.service, each.share) for each in group.members] == [("v1", 0.75), ("v2", 0.25)]
    apart = await easel.services.release("v2", traffic_state="standalone")
    assert (apart.traffic_state, apart.weight) == (TrafficState.STANDALONE, 1)
    with pytest.raises(InvalidRequest, match="standalone or grouping"):
        await easel.services.release("v2", traffic_state="odd")
    with pytest.raises(FailedPrecondition):
        await easel.groups.delete("llm")
    assert await easel.groups.delete("llm", cascade=True) == ("v1", "v2")


async def test_a_weight_of_zero_is_set_and_none_leaves_it(easel: AsyncEasel) -> None:
    await two_members(easel)

    assert (await easel.services.release("v1", weight=0)).weight == 0
    assert (await easel.services.release("v1", traffic_state="grouping")).weight == 0


async def test_a_ramp_begins_with_its_plan_and_is_ended(easel: AsyncEasel) -> None:
    await two_members(easel)

    begun = await easel.services.ramp("v2", PLAN)
    ended = await easel.services.end_ramp("v2", back=True)
    unbound = await easel.services.ramp("v2", RampPlan((100,), timedelta(seconds=1)))

    assert (begun.phase, begun.plan, begun.group) == (RampPhase.RUNNING, PLAN, "llm")
    assert (ended.phase, ended.why) == (RampPhase.ENDED, "taken back by admin")
    assert (unbound.plan.max_error_rate, unbound.plan.max_p99_increase) == (None, None)
    assert (await easel.groups.get("llm")).ramp == unbound


async def test_a_mirror_is_put_read_and_deleted_with_what_was_compared(
    fake: FakeAdmin, easel: AsyncEasel
) -> None:
    await two_members(easel)
    await easel.mirrors.put("v1", ["v2"], ratio=10, compare=0.01)
    pair = common.ComparedPair(at=now(), path="/x", status=200, differences=["$.a: 1 → 2"])
    fake.traffic.mirrors["v1"].comparisons.add(target="v2", pairs=7, differing=[pair])

    (found,) = [each async for each in easel.mirrors.list()]

    assert (found.targets, found.ratio, found.compare) == (("v2",), 10, 0.01)
    assert (found.comparisons[0].pairs, found.comparisons[0].differing[0].path) == (7, "/x")
    assert found == await easel.mirrors.get("v1")
    await easel.mirrors.delete("v1")
    with pytest.raises(NotFound):
        await easel.mirrors.get("v1")


async def test_numbers_of_a_service_come_with_buckets_that_hold_all_before_them(
    fake: FakeAdmin, easel: AsyncEasel
) -> None:
    await two_members(easel)
    buckets = [common.LatencyBucket(upper_ms=5, count=3), common.LatencyBucket(upper_ms=math.inf, count=4)]
    counted = common.ServiceTraffic(service="v1", version=1, requests=4, latency=buckets)
    fake.traffic.traffic["v1"] = [pb.GetTrafficResponse(versions=[counted], notes=["edge is away"])]

    found = await easel.traffic.get("v1")

    assert found.notes == ("edge is away",)
    assert (found.versions[0].requests, found.versions[0].latency) == (
        4,
        (LatencyBucket(5.0, 3), LatencyBucket(None, 4)),
    )


async def test_a_route_is_explained_and_a_link_is_made(fake: FakeAdmin, easel: AsyncEasel) -> None:
    await two_members(easel)
    fake.traffic.explanation = common.RouteExplanation(
        gateway="gateway", status=401, targets=[common.RouteTarget(service="v1", version=1, share=0.5)]
    )

    found = await easel.traffic.explain("/api/predict/v1", headers={"x": "y"})
    link = await easel.traffic.web_link("v1", valid_for=timedelta(minutes=10))

    assert (found.status, found.targets) == (401, (RouteTarget("v1", 1, 0.5, ()),))
    assert link.url.endswith("?link=signed") and "signed" not in repr(link)
    assert fake.traffic.links[0].valid_for.ToTimedelta() == timedelta(minutes=10)


async def test_only_the_named_settings_of_a_gateway_are_changed(fake: FakeAdmin, easel: AsyncEasel) -> None:
    domains = (GatewayDomain("a.example", secret="tls"),)
    await easel.gateways.create("edge", port=8443, domains=domains, keepalive=timedelta(minutes=10))

    changed = await easel.gateways.update("edge", port=9000, deny=("10.0.0.0/8",), redirect_https=True)
    lifted = await easel.gateways.update("edge", deny=(), redirect_https=False, domains=())

    assert (changed.port, changed.domains, changed.keepalive) == (9000, domains, timedelta(minutes=10))
    assert changed.deny == ("10.0.0.0/8",) and changed.redirect_https
    assert (lifted.deny, lifted.redirect_https, lifted.domains, lifted.port) == ((), False, (), 9000)
    assert (await easel.gateways.get("edge")) == lifted
    assert [each.name async for each in easel.gateways.list(with_nodes=True)] == ["edge"]
    await easel.gateways.delete("edge")


async def test_registries_are_put_listed_and_forgotten(easel: AsyncEasel) -> None:
    put = await easel.registries.put("lab", "http://n:8848", namespace="prod", secret="login")

    assert [each async for each in easel.registries.list()] == [put]
    assert (put.kind, put.namespace, put.secret) == ("nacos", "prod", "login")
    await easel.registries.delete("lab")


async def test_access_tokens_are_made_rotated_and_never_shown_by_accident(easel: AsyncEasel) -> None:
    await two_members(easel)

    made = await easel.access_tokens.create("partner", service="v1", valid_for=timedelta(days=30))
    rotated = await easel.access_tokens.rotate(made.token.id, overlap=timedelta())

    assert made.value == "value-of-partner" and made.value not in repr(made)
    assert made.token.expires_at is not None and made.token.last_used_at is None
    assert (rotated.value, rotated.before) == ("new-value-of-partner", None)
    usual = await easel.access_tokens.rotate(made.token.id)
    assert usual.before is not None and usual.before.expires_at is not None
    assert (await easel.access_tokens.get("service:v1")).value == "token-of-v1"
    assert await easel.groups.token("llm") == "token-of-llm"
    named = [each.name async for each in easel.access_tokens.list(group="llm")]
    assert named == ["default"]
    await easel.access_tokens.delete(made.token.id)


def test_the_synchronous_client_does_the_same() -> None:
    with fake_admin_thread() as fake, Easel(fake.address, ADMIN_TOKEN) as easel:
        easel.services.create({"name": "v1", "metadata": {"group": "llm"}})
        easel.services.release("v1", traffic_state="grouping")
        easel.gateways.create("edge", allow=("10.0.0.0/8",))

        assert [each.name for each in easel.groups.list()] == ["llm"]
        assert easel.gateways.get("edge").allow == ("10.0.0.0/8",)
        assert easel.services.ramp("v1", PLAN).plan == PLAN
        assert easel.mirrors.list() == []
