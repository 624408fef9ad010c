"""Datasets: registered sources that a service mounts by name."""

import json
from pathlib import Path
from typing import Any

import grpc
import pytest

from easel.admin.v1 import admin_pb2
from tests.support.builders import a_spec
from tests.support.scheduler_harness import DEADLINE, LinkedAgent, RunningScheduler, a_scheduler, an_agent


async def register(
    scheduler: RunningScheduler, dataset: str = "faces", version: str = "", **source: Any
) -> admin_pb2.Dataset:
    source = source or {"oss": {"path": "oss://sets/faces/"}}
    request = admin_pb2.CreateDatasetRequest(id=dataset, version=version, source_json=json.dumps(source))
    return (await scheduler.datasets.CreateDataset(request, timeout=DEADLINE)).dataset


async def delete(scheduler: RunningScheduler, dataset: str, version: str = "") -> None:
    request = admin_pb2.DeleteDatasetRequest(id=dataset, version=version)
    await scheduler.datasets.DeleteDataset(request, timeout=DEADLINE)


async def refusal(call: Any) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value


def mounting(dataset: str = "faces", **fields: Any) -> dict[str, Any]:
    return {**a_spec(), "storage": [{"mount_path": "/mnt/set", "dataset": {"id": dataset, **fields}}]}


async def the_storage(agent: LinkedAgent) -> list[dict[str, Any]]:
    await agent.sees(lambda a: a.assigned, "the assignment")
    (assignment,) = agent.assigned.values()
    storage: list[dict[str, Any]] = json.loads(assignment.spec_json)["storage"]
    return storage


async def test_a_service_is_pinned_to_the_newest_version_and_its_agent_gets_the_source(
    tmp_path: Path,
) -> None:
    async with a_scheduler(tmp_path) as scheduler, an_agent(scheduler) as agent:
        await register(scheduler)
        await register(scheduler, oss={"path": "oss://sets/more-faces/"})
        created = await scheduler.create(mounting())
        await register(scheduler, oss={"path": "oss://sets/most-faces/"})
        storage = await the_storage(agent)
        again = await scheduler.service("digits")

    pinned = [{"mount_path": "/mnt/set", "dataset": {"id": "faces", "version": "2"}}]
    assert json.loads(created.spec_json)["storage"] == json.loads(again.spec_json)["storage"] == pinned
    assert storage == [
        {"mount_path": "/mnt/set", "oss": {"path": "oss://sets/more-faces/", "readOnly": True}}
    ]


async def test_a_dataset_is_writable_only_where_mount_and_source_both_say_so(tmp_path: Path) -> None:
    async with a_scheduler(tmp_path) as scheduler, an_agent(scheduler) as agent:
        await register(scheduler, "open", nfs={"server": "nas", "path": "/faces"})
        await register(scheduler, "shut", nfs={"server": "nas", "path": "/faces", "readOnly": True})
        spec = mounting("open", read_only=False)
        spec["storage"].append({"mount_path": "/mnt/shut", "dataset": {"id": "shut", "read_only": False}})
        await scheduler.create(spec)
        storage = await the_storage(agent)

    assert [mount["nfs"].get("readOnly", False) for mount in storage] == [False, True]


async def test_secrets_of_a_source_reach_the_agent(tmp_path: Path) -> None:
    async with a_scheduler(tmp_path) as scheduler, an_agent(scheduler) as agent:
        source = {"repo": "https://host/r.git", "password": "secret://git/password"}
        early = await refusal(register(scheduler, "code", git=source))
        request = admin_pb2.PutSecretRequest(name="git", values={"password": "hidden"})
        await scheduler.secrets.PutSecret(request, timeout=DEADLINE)
        await register(scheduler, "code", git=source)
        in_use = await refusal(
            scheduler.secrets.DeleteSecret(admin_pb2.DeleteSecretRequest(name="git"), timeout=DEADLINE)
        )
        await scheduler.create(mounting("code"))
        await the_storage(agent)
        (assignment,) = agent.assigned.values()

    assert dict(assignment.secrets) == {"git/password": "hidden"}
    assert (early.details() or "").startswith("git.password: got 'secret://git/password', ")
    assert in_use.details() == "key 'password' of secret 'git' is used by dataset code; change that first"


async def test_an_unknown_dataset_or_version_is_refused_with_those_that_there_are(tmp_path: Path) -> None:
    async with a_scheduler(tmp_path) as scheduler:
        await register(scheduler)
        await register(scheduler, "houses", "2024")
        no_set = await refusal(scheduler.create(mounting("faeces")))
        no_version = await refusal(scheduler.create(mounting("houses", version="2023")))

    assert no_set.details() == (
        "storage[0].dataset.id: got 'faeces', expected a registered dataset (faces, houses)"
    )
    assert no_version.details() == ("storage[0].dataset.version: got '2023', expected a version of it (2024)")


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ({}, "source_json: got nothing, expected exactly one of oss, nfs, git, image, host_path"),
        (
            {"dataset": {"id": "faces"}},
            "source_json: got dataset, expected exactly one of oss, nfs, git, image, host_path",
        ),
        (
            {"oss": {"path": "s3://sets"}},
            'oss.path: got \'s3://sets\', expected oss://bucket/path without "." or ".." segments',
        ),
        (
            {"nfs": {"server": "nas", "read_only": True}},
            "nfs.read_only: got an unknown key, expected keys that are known; did you mean nfs.readOnly?",
        ),
    ],
)
async def test_a_source_is_checked_as_a_mount_is(
    tmp_path: Path, source: dict[str, Any], sentence: str
) -> None:
    async with a_scheduler(tmp_path) as scheduler:
        request = admin_pb2.CreateDatasetRequest(id="faces", source_json=json.dumps(source))
        error = await refusal(scheduler.datasets.CreateDataset(request, timeout=DEADLINE))

    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert (error.details() or "").replace("storage[]", "source_json") == sentence


async def test_a_version_never_changes(tmp_path: Path) -> None:
    async with a_scheduler(tmp_path) as scheduler:
        first = await register(scheduler, version="v1")
        again = await register(scheduler, version="v1")
        other = await refusal(register(scheduler, version="v1", oss={"path": "oss://sets/other/"}))

    assert first == again
    assert other.code() is grpc.StatusCode.ALREADY_EXISTS


async def test_what_a_stored_version_of_a_service_mounts_stays(tmp_path: Path) -> None:
    async with a_scheduler(tmp_path) as scheduler:
        await register(scheduler)
        await register(scheduler)
        await scheduler.create(mounting(version="1"))
        change = admin_pb2.UpdateServiceRequest(
            name="digits", spec_json=json.dumps({"storage": mounting(version=2)["storage"]})
        )
        await scheduler.services.UpdateService(change, timeout=DEADLINE)
        error = await refusal(delete(scheduler, "faces", "1"))
        await register(scheduler)
        await delete(scheduler, "faces", "3")
        listed = await scheduler.datasets.ListDatasets(admin_pb2.ListDatasetsRequest(), timeout=DEADLINE)

    assert error.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert error.details() == (
        "version 1 of dataset 'faces' is mounted by a stored version of digits, "
        "to which a roll-back may lead; it stays until the service is deleted"
    )
    assert [(each.version, list(each.used_by)) for each in listed.datasets] == [
        ("1", ["digits"]),
        ("2", ["digits"]),
    ]


async def test_a_password_in_a_source_is_shown_masked_and_not_taken_so(tmp_path: Path) -> None:
    async with a_scheduler(tmp_path) as scheduler:
        made = await register(
            scheduler, "code", git={"repo": "https://host/r.git", "username": "u", "password": "hidden"}
        )
        with pytest.raises(grpc.aio.AioRpcError, match=r"git.password: got a hidden value"):
            await register(scheduler, "copy", **json.loads(made.source_json))

    assert json.loads(made.source_json)["git"]["password"] == "********"
