"""What the client library promises about calls, lists and watches."""

import asyncio
from contextlib import aclosing
from datetime import timedelta

import pytest

from easel.admin.v1 import admin_pb2 as pb
from easel.common.v1 import common_pb2 as common
from easel_sdk import AsyncEasel, Easel
from easel_sdk.errors import (
    AlreadyExists,
    Conflict,
    InvalidSpec,
    NoScheduler,
    NotFound,
    PermissionDenied,
    Unauthenticated,
    Unavailable,
)
from easel_sdk.types import (
    Change,
    InstanceState,
    NodeState,
    RolloutPhase,
    RolloutPlan,
    Runtime,
    SafetyLock,
    ServiceState,
    Severity,
)
from tests.support.fake_admin import ADMIN_TOKEN, JOIN_TOKEN, FakeAdmin, fake_admin_serving, fake_admin_thread
from tests.support.free_ports import free_port
from tests.support.waiting import until

SPEC = {"name": "echo", "metadata": {"instance": 2}}


async def test_a_service_comes_back_as_plain_values(easel: AsyncEasel) -> None:
    written = await easel.services.create(SPEC)

    assert written.service.state is ServiceState.RUNNING
    assert (written.service.ready, written.service.wanted) == (2, 2)
    assert written.service.spec == SPEC
    assert written.service.created_at is not None and written.service.created_at.tzinfo is not None


async def test_warnings_of_an_accepted_spec_reach_the_caller(easel: AsyncEasel) -> None:
    written = await easel.services.create({**SPEC, "x-odd": 1})

    assert written.warnings == ("x-odd: unknown key, kept without effect",)


async def test_a_list_holds_every_page(fake: FakeAdmin, easel: AsyncEasel) -> None:
    fake.page_limit = 3
    for number in range(10):
        await easel.services.create({"name": f"s{number}"})

    names = [service.name async for service in easel.services.list()]

    assert names == [f"s{number}" for number in range(10)]
    assert fake.calls.count("ListServices") == 4


async def test_a_create_is_sent_again_while_the_scheduler_is_away_and_creates_once(
    fake: FakeAdmin, easel: AsyncEasel
) -> None:
    fake.away_for = 2

    await easel.services.create(SPEC)

    assert fake.calls.count("CreateService") == 3
    assert list(fake.services) == ["echo"]


async def test_repeating_a_create_with_its_key_returns_the_same_service(easel: AsyncEasel) -> None:
    first = await easel.services.create(SPEC, idempotency_key="k1")

    again = await easel.services.create(SPEC, idempotency_key="k1")

    assert again.service.id == first.service.id
    with pytest.raises(AlreadyExists):
        await easel.services.create(SPEC, idempotency_key="k2")


async def test_an_update_is_not_repeated_by_itself(fake: FakeAdmin, easel: AsyncEasel) -> None:
    await easel.services.create(SPEC)
    fake.away_for = 1

    with pytest.raises(Unavailable, match="the database is away"):
        await easel.services.update("echo", {"metadata": {"instance": 3}})


async def test_refusals_arrive_as_types_with_the_schedulers_sentence(easel: AsyncEasel) -> None:
    await easel.services.create(SPEC)

    with pytest.raises(NotFound, match="no service named 'gone'"):
        await easel.services.get("gone")
    with pytest.raises(InvalidSpec, match=r"metadata\.name: got None") as refused:
        await easel.services.create("{}")
    with pytest.raises(Conflict):
        await easel.services.update("echo", {}, if_revision=99)
    assert refused.value.path == "metadata.name"


async def test_a_token_that_does_not_open_the_admin_api_is_told_apart(fake: FakeAdmin) -> None:
    async with AsyncEasel(fake.address, "wrong") as wrong, AsyncEasel(fake.address, JOIN_TOKEN) as joining:
        with pytest.raises(Unauthenticated):
            await wrong.services.get("echo")
        with pytest.raises(PermissionDenied):
            await joining.services.get("echo")


async def test_no_scheduler_is_said_with_the_address_and_what_to_run() -> None:
    address = f"127.0.0.1:{free_port()}"
    async with AsyncEasel(address, ADMIN_TOKEN) as easel:
        with pytest.raises(NoScheduler) as refused:
            await easel.services.get("echo")

    assert str(refused.value) == f"no scheduler at {address}; run `easel up`"


async def test_a_watch_begins_with_what_is_there_and_goes_on_with_changes(easel: AsyncEasel) -> None:
    await easel.services.create(SPEC)

    async with aclosing(easel.services.watch("echo")) as changes:
        first, synced = await anext(changes), await anext(changes)
        await easel.services.scale("echo", 3)
        scaled = await anext(changes)
        await easel.services.delete("echo")
        deleted = await anext(changes)

    assert first.service is not None and first.service.wanted == 2
    assert synced.synced
    assert scaled.service is not None and scaled.service.wanted == 3
    assert deleted.deleted


async def test_a_watch_survives_a_break_and_tells_what_was_deleted_meanwhile(
    fake: FakeAdmin, easel: AsyncEasel
) -> None:
    await easel.services.create({"name": "stays"})
    await easel.services.create({"name": "goes"})

    async with aclosing(easel.services.watch()) as changes:
        while not (await anext(changes)).synced:
            pass
        fake.delete("goes")
        fake.watch_breaks = 1
        fake.changed()
        seen = await anext(changes)
        while not seen.deleted:
            seen = await anext(changes)

    assert seen.service is not None and seen.service.name == "goes"


async def test_events_are_told_once_each_across_a_restarted_scheduler(fake: FakeAdmin) -> None:
    port = free_port()
    seen: list[int] = []

    async def follow(easel: AsyncEasel) -> None:
        async for event in easel.events.watch(after_id=0):
            seen.append(event.id)
            if len(seen) == 2:
                return

    fake.happened("Zero", "before the watch.", "echo")
    async with AsyncEasel(f"127.0.0.1:{port}", ADMIN_TOKEN) as easel:
        async with fake_admin_serving(fake, f"127.0.0.1:{port}"):
            following = asyncio.create_task(follow(easel))

            def told_of_a_new_event() -> bool:
                fake.happened("One", "first.", "echo")
                return bool(seen)

            await until(told_of_a_new_event, "the first event")
            fake.happened("Two", "second.", "echo")
        async with fake_admin_serving(fake, f"127.0.0.1:{port}"):
            await asyncio.wait_for(following, 20)

    assert seen[0] > 1 and seen[1] == seen[0] + 1


async def test_nodes_and_their_groups_can_be_moved_labelled_and_emptied(
    fake: FakeAdmin, easel: AsyncEasel
) -> None:
    fake.add_node("n1")
    await easel.resource_groups.create("gpus")
    await easel.services.create(SPEC)

    moved = await easel.nodes.update("n1", resource_group="gpus", labels={"rack": "7"})
    draining = await easel.nodes.drain("n1", why="new disk")

    assert (moved.resource_group, moved.labels["rack"]) == ("gpus", "7")
    assert (moved.state, moved.runtime) == (NodeState.READY, Runtime.PROCESS)
    assert (draining.moving, draining.node.why, draining.node.schedulable) == (2, "new disk", False)


async def test_logs_come_in_pieces_from_the_tail(easel: AsyncEasel) -> None:
    await easel.services.create({"name": "echo"})
    (instance,) = [each async for each in easel.instances.list(service="echo")]

    text = b"".join([piece async for piece in easel.instances.logs(instance.id, tail=2)])

    assert instance.state is InstanceState.RUNNING
    assert text == b"line 2\nline 3\n"


async def test_an_update_is_planned_staged_promoted_and_undone(easel: AsyncEasel) -> None:
    await easel.services.create(SPEC)
    staged = RolloutPlan(batch_size="1", interval=timedelta(minutes=1))

    planned = await easel.services.plan_update("echo", {"x": 1})
    written = await easel.services.update("echo", {"x": 1}, plan=staged)
    replanned = await easel.services.rollout_set("echo", RolloutPlan(partition="1"))
    promoted = await easel.services.rollout_promote("echo")
    undone = await easel.services.rollout_undo("echo")

    assert (planned.changes, planned.version, planned.rolls) == ((Change("x", "", "1"),), 2, True)
    assert written.service.rollout is not None and written.service.rollout.plan == staged
    assert written.service.rollout.phase is RolloutPhase.PAUSED
    assert replanned.rollout is not None and replanned.rollout.plan == RolloutPlan(partition="1")
    assert promoted.rollout is not None and promoted.rollout.phase is RolloutPhase.COMPLETED
    assert (undone.version, undone.latest_version) == (1, 2)


async def test_a_service_is_cloned_locked_labelled_and_diagnosed(fake: FakeAdmin, easel: AsyncEasel) -> None:
    await easel.services.create(SPEC)
    fake.findings["echo"] = [pb.Finding(severity=pb.Finding.SEVERITY_ERROR, what="It is slow.")]

    cloned = await easel.services.clone("echo", "copy", {"metadata": {"instance": 1}})
    locked = await easel.services.set_lock("echo", "all")
    labelled = await easel.services.set_labels("echo", {"team": "nlp"})
    (finding,) = await easel.services.diagnose("echo")

    assert (cloned.service.name, cloned.service.wanted) == ("copy", 1)
    assert locked.safety_lock is SafetyLock.ALL
    assert labelled.labels == {"team": "nlp"}
    assert (finding.severity, finding.what) == (Severity.ERROR, "It is slow.")


async def test_single_instances_are_restarted_isolated_and_detached(easel: AsyncEasel) -> None:
    await easel.services.create(SPEC)

    assert (await easel.instances.restart("echo-1")).run == 1
    assert (await easel.instances.isolate("echo-1", why="a look")).isolated
    assert not (await easel.instances.isolate("echo-1", isolated=False)).isolated
    assert (await easel.instances.detach("echo-2")).detached
    assert await easel.instances.diagnose("echo-1") == ()


async def test_secrets_datasets_images_and_gpu_fences_are_kept(fake: FakeAdmin, easel: AsyncEasel) -> None:
    fake.add_node("n1").gpus.append(common.Gpu(uuid="GPU-7", healthy=True))

    secret = await easel.secrets.put("s3", {"id": "1"})
    dataset = await easel.datasets.create("corpus", {"oss": {"path": "oss://b/c"}})
    pull = await easel.images.pull("a:1", resource_group="public")
    fenced = await easel.nodes.fence_gpu("n1", "GPU-7", why="hot")
    lifted = await easel.nodes.lift_gpu_fence("n1", "GPU-7")

    assert secret.keys == ("id",)
    assert (dataset.version, dataset.source) == ("1", {"oss": {"path": "oss://b/c"}})
    assert [(each.node, each.done) for each in pull.nodes] == [("n1", True)]
    assert fenced.gpus[0].fenced and not lifted.gpus[0].fenced
    assert [each.name async for each in easel.secrets.list()] == ["s3"]


def methods(part: object) -> set[str]:
    return {name for name in dir(part) if not name.startswith("_") and callable(getattr(part, name))}


async def test_the_synchronous_client_has_every_method_of_the_asynchronous_one(easel: AsyncEasel) -> None:
    with Easel("127.0.0.1:1", "t") as waiting:
        parts = {name for name in vars(easel) if not name.startswith("_")}

        assert parts == {name for name in vars(waiting) if not name.startswith("_")}
        assert methods(easel) == methods(waiting)
        for part in parts:
            assert methods(getattr(easel, part)) == methods(getattr(waiting, part)), part


def test_the_synchronous_client_does_the_same_without_awaiting() -> None:
    with fake_admin_thread() as fake, Easel(fake.address, ADMIN_TOKEN) as easel:
        easel.services.create(SPEC)
        watch = easel.services.watch("echo")
        first = next(watch)
        watch.close()  # type: ignore[attr-defined]
        token = easel.tokens.create("ci")

        assert first.service is not None and first.service.name == "echo"
        assert [service.name for service in easel.services.list()] == ["echo"]
        assert [each.id for each in easel.instances.list(service="echo")] == ["echo-1", "echo-2"]
        assert token.secret == "secret-of-ci" and "secret-of-ci" not in repr(token)
        with pytest.raises(NotFound):
            easel.services.get("gone")
