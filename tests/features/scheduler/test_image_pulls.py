"""Images asked for ahead: every node of a resource group pulls them, also those that join later."""

import base64
from pathlib import Path
from typing import Any

import grpc
import pytest

from easel.admin.v1 import admin_pb2
from easel.common.v1 import common_pb2
from tests.support.scheduler_harness import DEADLINE, RunningScheduler, a_scheduler, an_agent
from tests.support.waiting import until

DOCKER = {"runtime": common_pb2.RUNTIME_DOCKER}
LOGIN = base64.b64encode(b"user:p4ssw0rd").decode()


async def pull(
    scheduler: RunningScheduler, image: str = "model:1", group: str = "", docker_auth: str = ""
) -> admin_pb2.ImagePull:
    request = admin_pb2.PullImageRequest(image=image, resource_group=group, docker_auth=docker_auth)
    return (await scheduler.images.PullImage(request, timeout=DEADLINE)).pull


async def listed(scheduler: RunningScheduler) -> list[admin_pb2.ImagePull]:
    answer = await scheduler.images.ListImagePulls(admin_pb2.ListImagePullsRequest(), timeout=DEADLINE)
    return list(answer.pulls)


async def refusal(call: Any) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value


async def on_nodes(scheduler: RunningScheduler) -> dict[str, admin_pb2.ImagePullOnNode]:
    return {node.node: node for each in await listed(scheduler) for node in each.nodes}


async def test_nodes_of_the_group_are_asked_now_and_when_they_join_later(tmp_path: Path) -> None:
    async with a_scheduler(tmp_path) as scheduler, an_agent(scheduler, "n1", **DOCKER) as first:
        made = await pull(scheduler, docker_auth=LOGIN)
        await first.sees(lambda a: a.desired and a.desired.pulls, "the pull")
        async with an_agent(scheduler, "n2", **DOCKER) as second, an_agent(scheduler, "n3") as processes:
            assert second.desired is not None
            assert processes.desired is not None
            (asked,) = second.desired.pulls
            assert not processes.desired.pulls
            states = await on_nodes(scheduler)

    assert (asked.id, asked.image, asked.user, asked.password) == (made.id, "model:1", "user", "p4ssw0rd")
    assert states["n2"].why == "its agent has not answered yet"
    assert states["n3"].why == "this node runs processes and has no images"
    assert LOGIN.encode() not in (tmp_path / "easel.db").read_bytes()


async def test_what_a_node_says_is_listed_and_its_end_is_an_event(tmp_path: Path) -> None:
    async with a_scheduler(tmp_path) as scheduler, an_agent(scheduler, "n1", **DOCKER) as agent:
        made = await pull(scheduler)
        agent.say_of_pull(made.id, why="pulling", progress={"what": "image", "done_bytes": 5})

        async def told() -> bool:
            return (await on_nodes(scheduler))["n1"].why == "pulling"

        await until(told, "what the agent said")
        assert (await on_nodes(scheduler))["n1"].progress.done_bytes == 5
        agent.say_of_pull(made.id, failed=True, why="manifest unknown; again in 10 s")
        agent.say_of_pull(made.id, failed=True, why="manifest unknown; again in 20 s")
        agent.say_of_pull(made.id, done=True)
        agent.say_of_pull(made.id, done=True)

        async def ended() -> bool:
            return (await on_nodes(scheduler))["n1"].done

        await until(ended, "the end of the pull")
        events = await scheduler.events.ListEvents(
            admin_pb2.ListEventsRequest(subject="n1"), timeout=DEADLINE
        )

    told_of = {event.reason: event.why for event in events.events if event.reason.startswith("ImagePull")}
    assert sorted(event.reason for event in events.events if event.reason.startswith("ImagePull")) == [
        "ImagePullFailed",
        "ImagePulled",
    ]
    assert told_of["ImagePulled"] == "has model:1"
    assert told_of["ImagePullFailed"] == "model:1 could not be pulled: manifest unknown; again in 10 s"


async def test_a_node_that_moves_into_the_group_is_asked_and_one_that_leaves_is_not(tmp_path: Path) -> None:
    async with a_scheduler(tmp_path) as scheduler, an_agent(scheduler, "n1", **DOCKER) as agent:
        group = admin_pb2.CreateResourceGroupRequest(name="own", kind="dedicated")
        await scheduler.nodes.CreateResourceGroup(group, timeout=DEADLINE)
        await pull(scheduler, group="own")
        assert agent.desired is not None
        assert not agent.desired.pulls

        into = admin_pb2.UpdateNodeRequest(name="n1", resource_group="own")
        await scheduler.nodes.UpdateNode(into, timeout=DEADLINE)
        await agent.sees(lambda a: a.desired and a.desired.pulls, "the pull of the new group")

        out = admin_pb2.UpdateNodeRequest(name="n1", resource_group="public")
        await scheduler.nodes.UpdateNode(out, timeout=DEADLINE)
        await agent.sees(lambda a: a.desired and not a.desired.pulls, "no pull any more")


async def test_asking_again_pulls_again_and_a_deleted_pull_is_not_asked_for(tmp_path: Path) -> None:
    async with a_scheduler(tmp_path) as scheduler, an_agent(scheduler, "n1", **DOCKER) as agent:
        first = await pull(scheduler)
        agent.say_of_pull(first.id, done=True)
        again = await pull(scheduler)
        await agent.sees(lambda a: a.desired and [p.id for p in a.desired.pulls] == [again.id], "a new id")
        assert [each.id for each in await listed(scheduler)] == [again.id]
        assert not (await on_nodes(scheduler))["n1"].done

        await scheduler.images.DeleteImagePull(
            admin_pb2.DeleteImagePullRequest(id=again.id), timeout=DEADLINE
        )
        await agent.sees(lambda a: a.desired and not a.desired.pulls, "no pull any more")


async def test_a_login_may_be_a_secret_which_then_stays(tmp_path: Path) -> None:
    async with a_scheduler(tmp_path) as scheduler, an_agent(scheduler, "n1", **DOCKER) as agent:
        missing = await refusal(pull(scheduler, docker_auth="secret://registry/login"))
        request = admin_pb2.PutSecretRequest(name="registry", values={"login": LOGIN})
        await scheduler.secrets.PutSecret(request, timeout=DEADLINE)
        made = await pull(scheduler, docker_auth="secret://registry/login")
        await agent.sees(lambda a: a.desired and a.desired.pulls, "the pull")
        in_use = await refusal(
            scheduler.secrets.DeleteSecret(admin_pb2.DeleteSecretRequest(name="registry"), timeout=DEADLINE)
        )
        assert agent.desired is not None
        assert [(each.user, each.password) for each in agent.desired.pulls] == [("user", "p4ssw0rd")]

    assert "an existing secret and key" in (missing.details() or "")
    assert f"is used by image pull {made.id}" in (in_use.details() or "")


async def test_what_cannot_be_pulled_is_refused(tmp_path: Path) -> None:
    async with a_scheduler(tmp_path) as scheduler:
        no_group = await refusal(pull(scheduler, group="gone"))
        no_image = await refusal(pull(scheduler, image="a b"))
        no_login = await refusal(pull(scheduler, docker_auth="hunter2"))

    assert no_group.details() == "there is no resource group 'gone'"
    assert no_image.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert (no_login.details() or "").startswith("docker_auth: got a hidden value, ")
    assert "hunter2" not in str(no_login)
