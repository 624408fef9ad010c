"""What the client library promises about numbers, policies, schedules, capacity and usage."""

import re
from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path

import pytest

from easel.admin.v1 import scaling_pb2 as pb
from easel.autoscaler.v1 import autoscaler_pb2
from easel.common.v1 import common_pb2 as common
from easel.metrics.v1 import metrics_pb2
from easel_sdk import AsyncEasel, Easel
from easel_sdk.errors import InvalidRequest, NotFound, Unavailable
from easel_sdk.types import LoadPoint, MetricPoint, Resources, Selector, Shape
from tests.support.fake_admin import ADMIN_TOKEN, FakeAdmin, fake_admin_thread
from tests.support.fake_admin_scaling import at

SDK = Path(__file__).parents[3] / "sdk" / "easel_sdk"
MORNING = datetime(2030, 1, 31, 8, tzinfo=UTC)
POLICY = {"min": 1, "max": 4, "scaleStrategies": [{"metricName": "qps", "threshold": 10}]}


async def test_every_call_about_numbers_and_sizes_is_made_somewhere_in_the_library() -> None:
    source = "".join(path.read_text() for path in SDK.glob("*.py"))
    services = chain(
        pb.DESCRIPTOR.services_by_name.values(),
        [metrics_pb2.DESCRIPTOR.services_by_name["MetricsService"]],
        [autoscaler_pb2.DESCRIPTOR.services_by_name["ReplayService"]],
    )

    missing = [
        f"{service.name}.{method.name}"
        for service in services
        for method in service.methods
        if not re.search(rf"self\._\w+\.{method.name}\b", source)
    ]

    assert missing == []


async def test_numbers_are_told_by_subject_and_measure(easel: AsyncEasel, fake: FakeAdmin) -> None:
    fake.scaling.numbers = {("service", "llm", "qps"): 12.5, ("service", "other", "qps"): 1.0}

    told = await easel.metrics.instant(
        Selector("qps", subjects=("llm",), window=timedelta(seconds=30)), Selector("cpu")
    )

    (value,) = told.values
    assert (value.subject, value.value, value.window) == ("llm", 12.5, timedelta(seconds=30))
    assert (value.age, told.at) == (timedelta(seconds=0.5), datetime.fromtimestamp(1_900_000_000, UTC))


async def test_a_range_is_points_in_order_of_time(easel: AsyncEasel, fake: FakeAdmin) -> None:
    fake.scaling.series = {("service", "llm", "qps"): [(100, 1.0), (101, 2.0)]}

    (series,) = await easel.metrics.range(
        Selector("qps"), last=timedelta(minutes=2), step=timedelta(seconds=1)
    )

    assert series.points == (
        MetricPoint(datetime.fromtimestamp(100, UTC), 1.0),
        MetricPoint(datetime.fromtimestamp(101, UTC), 2.0),
    )
    assert (fake.scaling.asked[0].last_s, fake.scaling.asked[0].step_s) == (120, 1)


async def test_a_watch_tells_numbers_until_it_is_left(easel: AsyncEasel, fake: FakeAdmin) -> None:
    fake.scaling.watches = [{("service", "llm", "qps"): 1.0}, {("service", "llm", "qps"): 2.0}]

    seen = []
    async for told in easel.metrics.watch(Selector("qps")):
        seen.append(told.values[0].value)
        if len(seen) == 2:
            break

    assert seen == [1.0, 2.0]


async def test_what_the_metrics_service_refuses_is_refused_here(easel: AsyncEasel, fake: FakeAdmin) -> None:
    fake.scaling.refuses = InvalidRequest("selectors[0].measure", "qsp", "a measure of kind service")
    with pytest.raises(InvalidRequest):
        await easel.metrics.instant(Selector("qsp"))

    fake.scaling.refuses = Unavailable("the metrics service at 127.0.0.1:8803 does not answer")
    with pytest.raises(Unavailable, match="does not answer"):
        await easel.metrics.range(Selector("qps"))


async def test_a_policy_is_set_read_merged_listed_and_removed(easel: AsyncEasel, fake: FakeAdmin) -> None:
    await easel.services.create({"name": "llm", "metadata": {"instance": 2}})

    made = await easel.autoscalers.set("llm", {**POLICY, "x-odd": 1})
    changed = await easel.autoscalers.set("llm", '{"max": 9}', merge=True)

    assert made.warnings == ("x-odd: unknown key, kept without effect",)
    assert (made.autoscaler.wanted, made.autoscaler.ready) == (2, 2)
    assert changed.autoscaler.policy == {**POLICY, "x-odd": 1, "max": 9}
    assert (await easel.autoscalers.get("llm")).revision == 2
    assert [each.service async for each in easel.autoscalers.list()] == ["llm"]
    await easel.autoscalers.delete("llm")
    with pytest.raises(NotFound):
        await easel.autoscalers.get("llm")


async def test_a_schedule_has_jobs_with_their_next_runs(easel: AsyncEasel) -> None:
    await easel.services.create({"name": "llm"})
    jobs = [{"Name": "day", "Schedule": "0 0 8 * * *", "TargetSize": 4, "TimeZone": "Europe/Berlin"}]

    made = (await easel.cronscalers.set("llm", {"ScaleJobs": jobs, "ExcludeDates": []})).cronscaler

    assert made.policy["ScaleJobs"] == jobs
    (job,) = made.jobs
    assert (job.name, job.target_size, job.time_zone, job.state) == ("day", 4, "Europe/Berlin", "Submitted")
    assert job.next_run_at == datetime.fromtimestamp(1_900_000_000, UTC)
    assert (await easel.cronscalers.get("llm")) == made
    assert [each.service async for each in easel.cronscalers.list()] == ["llm"]
    await easel.cronscalers.delete("llm")
    with pytest.raises(NotFound):
        await easel.cronscalers.get("llm")


async def test_the_history_is_every_change_of_size_newest_first(easel: AsyncEasel, fake: FakeAdmin) -> None:
    await easel.services.create({"name": "llm"})
    fake.page_limit = 2
    fake.scaling.scalings = [
        pb.Scaling(
            id=number, at=at(number), service="llm", before=1, after=2, policy="burst", why="qps is 40"
        )
        for number in (3, 2, 1)
    ]

    found = [each async for each in easel.autoscalers.history("llm")]

    assert [each.id for each in found] == [3, 2, 1]
    assert (found[0].policy, found[0].why, found[0].after) == ("burst", "qps is 40", 2)


async def test_a_replay_is_sent_with_its_load_and_told_in_steps(easel: AsyncEasel, fake: FakeAdmin) -> None:
    step = autoscaler_pb2.ReplayStep(at=at(1000), instances=3, policy="horizontal", why="qps is 30")
    fake.scaling.replayed = autoscaler_pb2.ReplayResponse(
        steps=[step], instance_hours=1.5, seconds_over_target=12, least_instances=1, most_instances=3
    )

    played = await easel.autoscalers.replay(
        [LoadPoint(MORNING, {"qps": 30.0})], POLICY, instances=2, start=timedelta(seconds=5)
    )

    (request,) = fake.scaling.replays
    assert (request.instances, request.start_s, dict(request.load[0].values)) == (2, 5.0, {"qps": 30.0})
    assert (played.instance_hours, played.seconds_over_target) == (1.5, 12)
    assert [(each.instances, each.why) for each in played.steps] == [(3, "qps is 30")]


async def test_capacity_is_asked_for_a_service_or_a_shape(easel: AsyncEasel, fake: FakeAdmin) -> None:
    fake.scaling.capacity = [
        pb.GroupCapacity(
            resource_group="public",
            kind="public",
            nodes=2,
            fits=3,
            reasons=["needs 4 CPUs, largest free is 2 (1 node)"],
            on=[pb.NodeCapacity(node="n1", fits=3)],
            capacity=common.Resources(cpu_milli=8000),
        )
    ]

    (group,) = await easel.capacity.get(shape=Shape(Resources(4000, 1024, 0, 1), gpu_model="L4"))

    asked = fake.scaling.asked[-1].shape
    assert (asked.resources.cpu_milli, asked.resources.gpus, asked.gpu_model) == (4000, 1, "L4")
    assert (group.fits, group.on[0].node, group.capacity.cpu_milli) == (3, "n1", 8000)
    assert await easel.capacity.get(service="llm", resource_group="private") == ()


async def test_usage_is_of_a_time_and_by_keys(easel: AsyncEasel, fake: FakeAdmin) -> None:
    fake.scaling.usage = pb.GetUsageResponse(
        sums=[pb.UsageSum(service="llm", instance_ms=3_600_000, cost=2.5)], kept_since=at(1000)
    )
    evening = MORNING + timedelta(hours=10)

    found = await easel.usage.get(MORNING, evening, by=("service",))

    request = fake.scaling.asked[-1]
    assert (list(request.by), request.begin.ToDatetime(UTC), request.end.ToDatetime(UTC)) == (
        ["service"],
        MORNING,
        evening,
    )
    assert (found.sums[0].instance_ms, found.sums[0].cost) == (3_600_000, 2.5)
    assert found.kept_since == datetime.fromtimestamp(1000, UTC)


def test_all_of_it_works_without_awaiting() -> None:
    with fake_admin_thread() as fake, Easel(fake.address, ADMIN_TOKEN) as easel:
        easel.services.create({"name": "llm"})
        fake.scaling.numbers = {("service", "llm", "qps"): 3.0}
        fake.scaling.watches = [{("service", "llm", "qps"): 4.0}]

        easel.autoscalers.set("llm", POLICY)

        assert easel.metrics.instant(Selector("qps")).values[0].value == 3.0
        assert next(iter(easel.metrics.watch(Selector("qps")))).values[0].value == 4.0
        assert [each.service for each in easel.autoscalers.list()] == ["llm"]
        assert easel.autoscalers.history("llm") == []
