"""Named secrets: they reach the agents that need them, and nothing else."""

import base64
import json
import logging
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography.fernet import Fernet

from easel.admin.v1 import admin_pb2
from easel.agent.v1 import agent_pb2
from easel.common.v1 import common_pb2
from tests.support.builders import a_spec
from tests.support.scheduler_harness import (
    DEADLINE,
    LinkedAgent,
    RunningScheduler,
    a_scheduler,
    an_agent,
)
from tests.support.waiting import until

VALUE = "s3kr1t-value-that-nobody-may-see"
LOGIN = base64.b64encode(b"user:p4ssw0rd-of-the-registry").decode()


async def put(
    scheduler: RunningScheduler, name: str, replace: bool = False, **values: str
) -> admin_pb2.Secret:
    request = admin_pb2.PutSecretRequest(name=name, values=values, replace=replace)
    return (await scheduler.secrets.PutSecret(request, timeout=DEADLINE)).secret


async def listed(scheduler: RunningScheduler) -> dict[str, admin_pb2.Secret]:
    answer = await scheduler.secrets.ListSecrets(admin_pb2.ListSecretsRequest(), timeout=DEADLINE)
    return {secret.name: secret for secret in answer.secrets}


async def delete(scheduler: RunningScheduler, name: str) -> None:
    await scheduler.secrets.DeleteSecret(admin_pb2.DeleteSecretRequest(name=name), timeout=DEADLINE)


async def refusal(call: Any) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value


def referring(value: str = "secret://hub/token", name: str = "digits") -> dict[str, Any]:
    spec = a_spec(name)
    spec["containers"][0]["env"] = [{"name": "HUB_TOKEN", "value": value}]
    return spec


def files_below(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.rglob("*") if path.is_file()}


async def the_assignment(agent: LinkedAgent) -> agent_pb2.Assignment:
    await agent.sees(lambda a: a.assigned, "the assignment")
    (assignment,) = agent.assigned.values()
    return assignment


async def test_a_value_reaches_the_agent_that_needs_it_and_appears_nowhere_else(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with a_scheduler(tmp_path) as scheduler, an_agent(scheduler) as agent:
        made = await put(scheduler, "hub", token=VALUE, login=LOGIN)
        created = await scheduler.create({**referring(), "dockerAuth": "secret://hub/login"})
        assignment = await the_assignment(agent)
        told = [
            made,
            created,
            await scheduler.service("digits"),
            await scheduler.services.ListServiceVersions(
                admin_pb2.ListServiceVersionsRequest(name="digits"), timeout=DEADLINE
            ),
            await scheduler.events.ListEvents(admin_pb2.ListEventsRequest(page_size=1000), timeout=DEADLINE),
            *(await listed(scheduler)).values(),
            *await scheduler.instances_of("digits"),
        ]
        seen = "\n".join([*map(str, told), *(str(vars(record)) for record in caplog.records)])

    assert dict(assignment.secrets) == {"hub/token": VALUE, "hub/login": LOGIN}
    assert json.loads(assignment.spec_json)["containers"][0]["env"][0]["value"] == "secret://hub/token"
    assert json.loads(created.spec_json)["dockerAuth"] == "secret://hub/login"
    assert "SecretChanged" in seen
    stored = files_below(tmp_path)
    assert stored.keys() >= {"easel.db", "secrets.key"}
    for secret in (VALUE, LOGIN):
        assert secret not in seen
        assert [name for name, content in stored.items() if secret.encode() in content] == []


async def test_an_update_a_clone_and_a_plan_are_refused_for_the_same_reason(tmp_path: Path) -> None:
    async with a_scheduler(tmp_path) as scheduler:
        await put(scheduler, "hub", token=VALUE)
        await scheduler.create(a_spec())
        update = admin_pb2.UpdateServiceRequest(
            name="digits", spec_json=json.dumps({"dockerAuth": "secret://hub/token"})
        )
        clone = admin_pb2.CloneServiceRequest(
            name="digits", new_name="copy", spec_json=json.dumps({"dockerAuth": "secret://hub/gone"})
        )
        plan = admin_pb2.PlanServiceUpdateRequest(update=update)
        errors = [
            await refusal(scheduler.services.UpdateService(update, timeout=DEADLINE)),
            await refusal(scheduler.services.CloneService(clone, timeout=DEADLINE)),
            await refusal(scheduler.services.PlanServiceUpdate(plan, timeout=DEADLINE)),
        ]

    assert {error.code() for error in errors} == {grpc.StatusCode.INVALID_ARGUMENT}
    assert all((error.details() or "").startswith("dockerAuth: got 'secret://hub/") for error in errors)


async def test_the_key_file_is_made_readable_by_its_owner_alone(tmp_path: Path) -> None:
    async with a_scheduler(tmp_path, secrets_key_file=tmp_path / "keys" / "of-secrets"):
        pass

    assert (tmp_path / "keys" / "of-secrets").stat().st_mode & 0o777 == 0o600


async def test_a_secret_that_an_instance_prints_is_hidden_in_what_is_told_of_it(tmp_path: Path) -> None:
    async with a_scheduler(tmp_path) as scheduler, an_agent(scheduler) as agent:
        await put(scheduler, "hub", token=VALUE)
        await scheduler.create(referring())
        instance = (await the_assignment(agent)).id
        failing = common_pb2.INSTANCE_STATE_CRASH_LOOP_BACK_OFF
        agent.say(instance, state=failing, restarts=1, why=f"no {VALUE}!", last_exit=f"exit 1: {VALUE}")
        shown = await until(lambda: crashed(scheduler), "the crash")
        request = admin_pb2.ListEventsRequest(subject=instance)
        events = str(await scheduler.events.ListEvents(request, timeout=DEADLINE))

    assert (shown.why, shown.last_exit) == ("no ******!", "exit 1: ******")
    assert "exit 1: ******" in events
    assert VALUE not in events


async def crashed(scheduler: RunningScheduler) -> admin_pb2.Instance | None:
    return next((each for each in await scheduler.instances_of("digits") if each.restarts), None)


async def test_a_changed_secret_reaches_running_instances_without_another_order(tmp_path: Path) -> None:
    async with a_scheduler(tmp_path) as scheduler, an_agent(scheduler) as agent:
        await put(scheduler, "hub", token="before")
        await scheduler.create(referring())
        first = await the_assignment(agent)

        await put(scheduler, "hub", token="after")

        await agent.sees(
            lambda a: {"hub/token": "after"} in [dict(each.secrets) for each in a.assigned.values()],
            "the new value",
        )
        second = await the_assignment(agent)

    first.secrets.clear()
    second.secrets.clear()
    assert second == first


async def test_what_opens_a_bucket_is_handed_out_whole_the_own_secret_before_the_common_one(
    tmp_path: Path,
) -> None:
    spec = a_spec()
    spec["storage"] = [{"mount_path": "/mnt/data", "oss": {"path": "oss://models/digits/"}}]
    async with a_scheduler(tmp_path) as scheduler, an_agent(scheduler) as agent:
        await put(scheduler, "oss", access_key_id="common")
        await scheduler.create(spec)
        assert dict((await the_assignment(agent)).secrets) == {"oss/access_key_id": "common"}
        used = {name: list(secret.used_by) for name, secret in (await listed(scheduler)).items()}
        assert used == {"oss": ["digits"]}

        await put(scheduler, "oss-models", access_key_id="own", endpoint="http://s3:9000")

        own = {"oss-models/access_key_id": "own", "oss-models/endpoint": "http://s3:9000"}
        await agent.sees(
            lambda a: [dict(each.secrets) for each in a.assigned.values()] == [own], "the own secret"
        )


async def test_a_service_that_refers_to_nothing_is_refused_with_the_path_and_what_to_do(
    tmp_path: Path,
) -> None:
    async with a_scheduler(tmp_path) as scheduler:
        await put(scheduler, "hub", token=VALUE)
        no_secret = await refusal(scheduler.create(referring("secret://gone/token")))
        no_key = await refusal(scheduler.create(referring("secret://hub")))
        no_login = await refusal(scheduler.create({**a_spec(), "dockerAuth": "secret://hub/token"}))
        storage = [{"mount_path": "/mnt/data", "oss": {"path": "oss://b/p/", "secret": "gone"}}]
        no_bucket_secret = await refusal(scheduler.create({**a_spec(), "storage": storage}))

    make_it = "make it with `easel secret set NAME KEY=VALUE`"
    assert no_secret.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert no_secret.details() == (
        "containers[0].env[0].value: got 'secret://gone/token', "
        f"expected an existing secret and key; {make_it}"
    )
    assert (no_key.details() or "").startswith("containers[0].env[0].value: got 'secret://hub/value', ")
    assert no_login.details() == (
        "dockerAuth: got 'secret://hub/token', "
        "expected a secret whose value is the base64 form of user:password"
    )
    assert no_bucket_secret.details() == (
        f"storage[0].oss.secret: got 'gone', expected an existing secret; {make_it}"
    )


async def test_keys_are_merged_removed_and_replaced(tmp_path: Path) -> None:
    async with a_scheduler(tmp_path) as scheduler:
        await put(scheduler, "hub", a="1", b="2")
        merged = await put(scheduler, "hub", b="", c="3")
        replaced = await put(scheduler, "hub", replace=True, d="4")
        empty = await refusal(put(scheduler, "hub", d=""))

    assert (list(merged.keys), list(replaced.keys)) == (["a", "c"], ["d"])
    assert empty.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_value_that_is_too_long_is_refused_without_being_repeated(tmp_path: Path) -> None:
    async with a_scheduler(tmp_path) as scheduler:
        error = await refusal(put(scheduler, "hub", token=VALUE * 3000))
        many = await refusal(put(scheduler, "hub", **{f"k{n}": VALUE for n in range(65)}))

    assert error.details() == f"values[token]: got {len(VALUE) * 3000} bytes, expected at most 65536 bytes"
    assert (many.details() or "").startswith("values: got 65 keys, expected 1 to 64 keys")
    assert VALUE not in str(error) + str(many)


async def test_what_is_in_use_is_not_deleted(tmp_path: Path) -> None:
    async with a_scheduler(tmp_path) as scheduler:
        await put(scheduler, "hub", token=VALUE, spare="1")
        await scheduler.create(referring())
        whole = await refusal(delete(scheduler, "hub"))
        part = await refusal(put(scheduler, "hub", token=""))
        await put(scheduler, "hub", spare="")
        assert list((await listed(scheduler))["hub"].used_by) == ["digits"]
        await scheduler.services.DeleteService(
            admin_pb2.DeleteServiceRequest(name="digits"), timeout=DEADLINE
        )

        async def unused() -> bool:
            return not (await listed(scheduler))["hub"].used_by

        await until(unused, "nothing uses the secret")
        await delete(scheduler, "hub")
        assert await listed(scheduler) == {}

    assert whole.code() is part.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert whole.details() == "key 'token' of secret 'hub' is used by digits; change that first"
    assert VALUE not in (part.details() or "")


async def test_a_scheduler_with_another_key_starts_says_so_and_refuses_what_refers_to_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first, other = (Fernet.generate_key().decode() for _ in range(2))
    async with a_scheduler(tmp_path, secrets_key=first) as scheduler:
        await put(scheduler, "hub", token=VALUE)
        await scheduler.create(referring())

    async with a_scheduler(tmp_path, secrets_key=other) as scheduler, an_agent(scheduler) as agent:
        assert "lacks the key" in (await listed(scheduler))["hub"].why
        refused = await refusal(scheduler.create(referring(name="other")))
        added = await refusal(put(scheduler, "hub", more="1"))
        assert not (await the_assignment(agent)).secrets
        await put(scheduler, "hub", replace=True, token="anew")
        await agent.sees(lambda a: all(each.secrets for each in a.assigned.values()), "the new value")
        assert (await listed(scheduler))["hub"].why == ""

    assert "lacks the key" in (refused.details() or "")
    assert added.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert [record.secret for record in caplog.records if hasattr(record, "secret")] == ["hub"]


async def test_a_new_first_key_seals_everything_anew_so_that_the_old_one_can_go(tmp_path: Path) -> None:
    old, new = (Fernet.generate_key().decode() for _ in range(2))
    async with a_scheduler(tmp_path, secrets_key=old) as scheduler:
        await put(scheduler, "hub", token=VALUE)
    async with a_scheduler(tmp_path, secrets_key=f"{new},{old}") as scheduler:
        assert "SecretResealed" in await scheduler.event_reasons()

    async with a_scheduler(tmp_path, secrets_key=new) as scheduler, an_agent(scheduler) as agent:
        await scheduler.create(referring())
        assert dict((await the_assignment(agent)).secrets) == {"hub/token": VALUE}


async def test_a_key_that_is_none_is_left_out_and_nothing_else_suffers(tmp_path: Path) -> None:
    async with a_scheduler(tmp_path, secrets_key="not a key") as scheduler:
        refused = await refusal(put(scheduler, "hub", token=VALUE))
        await scheduler.create(a_spec())

    assert refused.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert "no usable key" in (refused.details() or "")
