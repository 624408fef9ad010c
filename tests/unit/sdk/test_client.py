"""What the client library promises about calls, lists and watches."""

import asyncio
from contextlib import aclosing

import pytest

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
from easel_sdk.types import InstanceState, NodeState, Runtime, ServiceState
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
