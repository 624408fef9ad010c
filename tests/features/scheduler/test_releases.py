"""Releasing, locking, copying and labelling services, and taking instances aside, as any client sees it."""

import json
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration

from easel.admin.v1 import admin_pb2
from easel.common.v1 import common_pb2
from tests.support.builders import a_spec
from tests.support.scheduler_harness import (
    DEADLINE,
    LinkedAgent,
    RunningScheduler,
    a_gateway,
    a_scheduler,
    an_agent,
)
from tests.support.waiting import until

CPU = {"metadata": {"cpu": 2}}
PRECONDITION = grpc.StatusCode.FAILED_PRECONDITION


def an_update(change: object = None, **fields: Any) -> admin_pb2.UpdateServiceRequest:
    text = "" if change is None else json.dumps(change)
    base: dict[str, Any] = {"mode": admin_pb2.UpdateServiceRequest.MODE_MERGE}
    return admin_pb2.UpdateServiceRequest(name="digits", spec_json=text, **{**base, **fields})


async def updated(scheduler: RunningScheduler, change: object = None, **fields: Any) -> admin_pb2.Service:
    answer = await scheduler.services.UpdateService(an_update(change, **fields), timeout=DEADLINE)
    return answer.service


async def foreseen(
    scheduler: RunningScheduler, change: object = None, **fields: Any
) -> admin_pb2.PlanServiceUpdateResponse:
    request = admin_pb2.PlanServiceUpdateRequest(update=an_update(change, **fields))
    return await scheduler.services.PlanServiceUpdate(request, timeout=DEADLINE)


async def locked(scheduler: RunningScheduler, lock: admin_pb2.SafetyLock.ValueType) -> admin_pb2.Service:
    request = admin_pb2.SetSafetyLockRequest(name="digits", safety_lock=lock)
    return (await scheduler.services.SetSafetyLock(request, timeout=DEADLINE)).service


async def labelled(scheduler: RunningScheduler, **labels: str) -> admin_pb2.Service:
    request = admin_pb2.SetServiceLabelsRequest(name="digits", labels=labels)
    return (await scheduler.services.SetServiceLabels(request, timeout=DEADLINE)).service


async def controlled(
    scheduler: RunningScheduler, action: admin_pb2.ControlRolloutRequest.Action.ValueType
) -> admin_pb2.Service:
    request = admin_pb2.ControlRolloutRequest(name="digits", action=action)
    return (await scheduler.services.ControlRollout(request, timeout=DEADLINE)).service


async def token_of(scheduler: RunningScheduler, name: str) -> str:
    request = admin_pb2.GetServiceTokenRequest(name=name)
    return (await scheduler.services.GetServiceToken(request, timeout=DEADLINE)).token


async def refusal(call: Any) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value.code(), caught.value.details() or ""


async def serving(scheduler: RunningScheduler, agent: LinkedAgent, count: int = 1) -> list[str]:
    """The ids of the instances, once all are ready."""
    assigned = await agent.sees(lambda a: len(a.assigned) == count and list(a.assigned), "assignments")
    for port, instance in enumerate(assigned, start=20000):
        agent.say_ready(instance, port)

    async def running() -> bool:
        return (await scheduler.service("digits")).state == common_pb2.SERVICE_STATE_RUNNING

    await until(running, "the service running")
    return assigned


# -------------------------------------------------------------------- versions


async def test_an_update_is_a_rollout_from_the_version_before_in_the_stages_asked_for(tmp_path: Path) -> None:
    plan = admin_pb2.RolloutPlan(batch_size="2", interval=Duration(seconds=90), paused=True)
    async with a_scheduler(tmp_path) as scheduler:
        created = await scheduler.create(a_spec(instance=4))
        service = await updated(scheduler, CPU, plan=plan)

    assert not created.HasField("rollout")
    assert (service.version, service.latest_version) == (2, 2)
    assert (service.rollout.version, service.rollout.from_version, service.rollout.wanted) == (2, 1, 4)
    assert service.rollout.plan == plan


async def test_going_to_a_version_that_is_there_makes_no_other(tmp_path: Path) -> None:
    async with a_scheduler(tmp_path) as scheduler:
        await scheduler.create({**a_spec(), "token": "first-token", "labels": {"release": "one"}})
        await updated(scheduler, {"metadata": {"cpu": 2}, "token": "second", "labels": {"release": "two"}})
        await scheduler.scale("digits", 3)
        back = await updated(scheduler, to_version=1)
        token = await token_of(scheduler, "digits")
        next_one = await updated(scheduler, {"metadata": {"cpu": 3}})
        request = admin_pb2.ListServiceVersionsRequest(name="digits")
        listed = await scheduler.services.ListServiceVersions(request, timeout=DEADLINE)

    assert (back.version, back.latest_version, back.wanted) == (1, 2, 3)
    assert (dict(back.labels), token) == ({"release": "one"}, "first-token")
    assert json.loads(back.spec_json)["metadata"]["instance"] == 3
    assert (back.rollout.version, back.rollout.from_version) == (1, 2)
    assert next_one.version == 3
    assert [version.number for version in listed.versions] == [1, 2, 3]


async def test_only_another_version_that_is_there_can_be_gone_to(tmp_path: Path) -> None:
    async with a_scheduler(tmp_path) as scheduler:
        await scheduler.create(a_spec())
        same = await refusal(updated(scheduler, to_version=1))
        none = await refusal(updated(scheduler, to_version=7))

    assert same[0] is grpc.StatusCode.INVALID_ARGUMENT
    assert none == (grpc.StatusCode.NOT_FOUND, "service 'digits' has no version 7")


async def test_an_update_says_one_thing_in_a_way_that_there_is(tmp_path: Path) -> None:
    async with a_scheduler(tmp_path) as scheduler:
        await scheduler.create(a_spec())
        both = await refusal(updated(scheduler, CPU, to_version=1))
        odd = await refusal(updated(scheduler, CPU, mode=99))
        neither = await refusal(updated(scheduler))

    invalid = grpc.StatusCode.INVALID_ARGUMENT
    assert both == (invalid, "to_version: got 1, expected a version or a change, not both")
    assert odd == (invalid, "mode: got 99, expected merge or replace")
    assert neither[0] is invalid


async def test_a_version_whose_resource_group_is_gone_is_refused(tmp_path: Path) -> None:
    async with a_scheduler(tmp_path) as scheduler:
        made = admin_pb2.CreateResourceGroupRequest(name="lab")
        await scheduler.nodes.CreateResourceGroup(made, timeout=DEADLINE)
        await scheduler.create(a_spec(resource="lab"))
        moved = await updated(scheduler, {"metadata": {"resource": None}})
        gone = admin_pb2.DeleteResourceGroupRequest(name="lab")
        await scheduler.nodes.DeleteResourceGroup(gone, timeout=DEADLINE)
        code, sentence = await refusal(updated(scheduler, to_version=1))

    assert moved.resource_group == "public"
    assert code is PRECONDITION
    assert "resource group 'lab', which is not there any more" in sentence


async def test_what_the_scheduler_writes_by_itself_makes_no_write_stale(tmp_path: Path) -> None:
    async with a_scheduler(tmp_path) as scheduler, an_agent(scheduler) as agent:
        created = await scheduler.create(a_spec())
        await serving(scheduler, agent)
        await locked(scheduler, admin_pb2.SAFETY_LOCK_DANGEROUS)
        first = await updated(scheduler, CPU, if_revision=created.revision)
        stale = await refusal(updated(scheduler, CPU, if_revision=created.revision))
        await scheduler.scale("digits", 2)
        scaled = await refusal(updated(scheduler, CPU, if_revision=first.revision))

    assert stale[0] is scaled[0] is grpc.StatusCode.ABORTED


# ----------------------------------------------------------------- shown first


async def test_an_update_is_shown_and_nothing_is_changed(tmp_path: Path) -> None:
    change = {"metadata": {"cpu": 2}, "token": "second-token"}
    async with a_scheduler(tmp_path) as scheduler:
        before = await scheduler.create({**a_spec(cpu=1), "token": "first-token"})
        told = await foreseen(scheduler, change)
        after = await scheduler.service("digits")
        made = await updated(scheduler, change)

    assert [(c.path, c.before, c.after) for c in told.changes] == [
        ("metadata.cpu", "1", "2"),
        ("token", '"********"', '"********"'),
    ]
    assert (told.version, told.rolls) == (2, True) == (made.version, True)
    assert (before.version, before.revision, before.spec_json) == (
        after.version,
        after.revision,
        after.spec_json,
    )


async def test_another_number_of_instances_and_the_same_document_roll_nothing(tmp_path: Path) -> None:
    async with a_scheduler(tmp_path) as scheduler:
        await scheduler.create(a_spec(instance=2))
        more = await foreseen(scheduler, {"metadata": {"instance": 4}})
        same = await foreseen(scheduler, {}, plan=admin_pb2.RolloutPlan(paused=True))

    assert (more.version, more.rolls, len(more.changes)) == (1, False, 1)
    assert list(more.steps) == [
        "only the number of instances changes, from 2 to 4: nothing is replaced",
    ]
    assert (list(same.steps), list(same.changes)) == (["nothing changes"], [])
    assert list(same.warnings) == ["plan: no instance is replaced, so it has no effect"]


async def test_what_cannot_be_updated_cannot_be_shown_either(tmp_path: Path) -> None:
    async with a_scheduler(tmp_path) as scheduler:
        await scheduler.create(a_spec())
        bad = await refusal(foreseen(scheduler, {"metadata": {"cpu": -1}}))
        odd = await refusal(foreseen(scheduler, CPU, plan=admin_pb2.RolloutPlan(partition="some")))
        empty = await refusal(foreseen(scheduler))
        await locked(scheduler, admin_pb2.SAFETY_LOCK_ALL)
        shut = await refusal(foreseen(scheduler, CPU))

    assert bad[1].startswith("metadata.cpu: got -1")
    assert odd[1].startswith("plan.partition: got 'some'")
    assert empty[1].startswith("spec_json: got ''")
    assert shut[0] is PRECONDITION


# -------------------------------------------------------------------- rollouts


async def test_an_update_is_paused_resumed_given_other_stages_and_undone(tmp_path: Path) -> None:
    control = admin_pb2.ControlRolloutRequest
    async with a_scheduler(tmp_path) as scheduler, an_agent(scheduler) as agent:
        await scheduler.create(a_spec(instance=2))
        await serving(scheduler, agent, 2)
        await updated(scheduler, CPU)
        paused = await controlled(scheduler, control.ACTION_PAUSE)
        resumed = await controlled(scheduler, control.ACTION_RESUME)
        plan = admin_pb2.RolloutPlan(partition="1")
        request = admin_pb2.SetRolloutPlanRequest(name="digits", plan=plan)
        planned = (await scheduler.services.SetRolloutPlan(request, timeout=DEADLINE)).service
        undone = await controlled(scheduler, control.ACTION_UNDO)
        reasons = await scheduler.event_reasons("digits")

    assert (paused.rollout.plan.paused, resumed.rollout.plan.paused) == (True, False)
    assert planned.rollout.plan == plan
    assert (undone.version, undone.rollout.version, undone.rollout.from_version) == (1, 1, 2)
    for reason in ("RolloutPauseAsked", "RolloutResumeAsked", "RolloutPlanSet"):
        assert reason in reasons


async def test_an_undo_that_is_asked_for_twice_goes_back_once(tmp_path: Path) -> None:
    undo = admin_pb2.ControlRolloutRequest.ACTION_UNDO
    async with a_scheduler(tmp_path) as scheduler:
        await scheduler.create(a_spec())
        await updated(scheduler, CPU)
        await controlled(scheduler, undo)
        again = await refusal(controlled(scheduler, undo))
        service = await scheduler.service("digits")

    assert again == (
        PRECONDITION,
        "the newest update went back to version 1 already; choose one with `easel version digits N`",
    )
    assert service.version == 1


async def test_a_service_that_is_scaled_to_0_is_stopped_and_begins_again_like_one_that_is_started(
    tmp_path: Path,
) -> None:
    async with a_scheduler(tmp_path) as scheduler, an_agent(scheduler) as agent:
        await scheduler.create(a_spec())
        (instance,) = await serving(scheduler, agent)
        await scheduler.scale("digits", 0)
        await agent.sees(lambda a: a.assigned[instance].stop, "the instance being stopped")
        leaving = await scheduler.service("digits")
        agent.say(instance, gone=True)

        async def stopped() -> admin_pb2.Service | None:
            service = await scheduler.service("digits")
            return service if service.state == common_pb2.SERVICE_STATE_STOPPED else None

        at_rest = await until(stopped, "the service stopped")
        await updated(scheduler, CPU)

        async def done() -> admin_pb2.Service | None:
            service = await scheduler.service("digits")
            return service if service.rollout.phase == admin_pb2.ROLLOUT_PHASE_COMPLETED else None

        after = await until(done, "the update of no instances")
        await agent.sees(lambda a: not a.assigned, "nothing assigned")
        await scheduler.scale("digits", 1)
        again = await scheduler.service("digits")
        await serving(scheduler, agent)

    assert leaving.state == common_pb2.SERVICE_STATE_STOPPING
    assert at_rest.why == "scaled to 0 instances; its configuration is kept"
    assert (after.state, after.version) == (common_pb2.SERVICE_STATE_STOPPED, 2)
    assert again.state == common_pb2.SERVICE_STATE_CREATING


async def test_a_service_that_was_never_updated_has_no_update_to_control(tmp_path: Path) -> None:
    actions = admin_pb2.ControlRolloutRequest.Action.values()
    async with a_scheduler(tmp_path) as scheduler:
        await scheduler.create(a_spec())
        refused = [(await refusal(controlled(scheduler, action)))[0] for action in actions if action]
        nothing = await refusal(controlled(scheduler, admin_pb2.ControlRolloutRequest.ACTION_UNSPECIFIED))

    assert set(refused) == {PRECONDITION}
    assert nothing[0] is grpc.StatusCode.INVALID_ARGUMENT


# ------------------------------------------------------------- lock and labels


async def test_a_lock_refuses_what_takes_the_service_away_or_every_change(tmp_path: Path) -> None:
    async with a_scheduler(tmp_path) as scheduler:
        await scheduler.create(a_spec())
        stub = scheduler.services
        stop = admin_pb2.StopServiceRequest(name="digits")
        delete = admin_pb2.DeleteServiceRequest(name="digits")
        restart = admin_pb2.RestartServiceRequest(name="digits")

        service = await locked(scheduler, admin_pb2.SAFETY_LOCK_DANGEROUS)
        stopping = await refusal(stub.StopService(stop, timeout=DEADLINE))
        taking = [
            await refusal(stub.DeleteService(delete, timeout=DEADLINE)),
            await refusal(scheduler.scale("digits", 0)),
            await refusal(updated(scheduler, {"metadata": {"instance": 0}})),
        ]
        await updated(scheduler, CPU)
        await scheduler.scale("digits", 2)

        await locked(scheduler, admin_pb2.SAFETY_LOCK_ALL)
        changing = [
            await refusal(updated(scheduler, {"metadata": {"cpu": 3}})),
            await refusal(updated(scheduler, to_version=1)),
            await refusal(scheduler.scale("digits", 3)),
            await refusal(stub.RestartService(restart, timeout=DEADLINE)),
            await refusal(stub.StopService(stop, timeout=DEADLINE)),
            await refusal(stub.DeleteService(delete, timeout=DEADLINE)),
            await refusal(labelled(scheduler, team="vision")),
            await refusal(controlled(scheduler, admin_pb2.ControlRolloutRequest.ACTION_UNDO)),
        ]
        await locked(scheduler, admin_pb2.SAFETY_LOCK_NONE)
        await stub.DeleteService(delete, timeout=DEADLINE)

    assert service.safety_lock == admin_pb2.SAFETY_LOCK_DANGEROUS
    assert stopping == (
        PRECONDITION,
        "service 'digits' is locked (dangerous): it cannot be stopped; "
        "unlock it with `easel lock digits none`",
    )
    assert {code for code, _ in (*taking, *changing)} == {PRECONDITION}
    assert all("locked (all)" in sentence for _, sentence in changing)


async def test_labels_are_set_without_a_version_and_kept_across_updates(tmp_path: Path) -> None:
    replacing = admin_pb2.UpdateServiceRequest.MODE_REPLACE
    async with a_scheduler(tmp_path) as scheduler:
        await scheduler.create({**a_spec(), "labels": {"team": "vision", "tier": "gold"}})
        service = await labelled(scheduler, tier="", owner="ann")
        merged = await updated(scheduler, CPU)
        replaced = await updated(scheduler, a_spec(cpu=3), mode=replacing)
        nothing = await foreseen(scheduler, {"labels": {"owner": "ann"}})
        odd = await refusal(labelled(scheduler, **{"": "x"}))

    wanted = {"team": "vision", "owner": "ann"}
    assert (service.version, dict(service.labels)) == (1, wanted)
    assert json.loads(service.spec_json)["labels"] == wanted
    assert [dict(each.labels) for each in (merged, replaced)] == [wanted, wanted]
    assert list(nothing.steps) == ["nothing changes"]
    assert odd[0] is grpc.StatusCode.INVALID_ARGUMENT


async def test_the_file_a_service_was_made_from_replaces_nothing_though_labels_were_set_since(
    tmp_path: Path,
) -> None:
    file = {**a_spec(), "labels": {"team": "vision"}, "token": "t-1"}
    replacing = admin_pb2.UpdateServiceRequest.MODE_REPLACE
    async with a_scheduler(tmp_path) as scheduler:
        await scheduler.create(file)
        await labelled(scheduler, owner="ann")
        again = await updated(scheduler, file, mode=replacing)

    assert (again.version, dict(again.labels)) == (1, {"team": "vision"})


# --------------------------------------------------------------------- cloning


async def test_a_copy_has_the_document_in_force_a_name_and_a_token_of_its_own(tmp_path: Path) -> None:
    async with a_scheduler(tmp_path) as scheduler:
        await scheduler.create({**a_spec(group="shop"), "token": "first-token"})
        await updated(scheduler, CPU)
        await scheduler.scale("digits", 3)
        await labelled(scheduler, owner="ann")
        await locked(scheduler, admin_pb2.SAFETY_LOCK_ALL)
        request = admin_pb2.CloneServiceRequest(
            name="digits", new_name="digits_two", spec_json='{"metadata": {"memory": 512}}'
        )
        copy = (await scheduler.services.CloneService(request, timeout=DEADLINE)).service
        token = await token_of(scheduler, "digits_two")
        again = await refusal(scheduler.services.CloneService(request, timeout=DEADLINE))

    metadata = json.loads(copy.spec_json)["metadata"]
    assert metadata == {
        "name": "digits_two", "instance": 3, "cpu": 2, "memory": 512, "group": "shop",
    }  # fmt: skip
    assert (copy.version, dict(copy.labels)) == (1, {"owner": "ann"})
    assert copy.safety_lock == admin_pb2.SAFETY_LOCK_NONE
    assert token not in ("", "first-token", "********")
    assert again[0] is grpc.StatusCode.ALREADY_EXISTS


async def test_a_copy_cannot_be_named_twice(tmp_path: Path) -> None:
    async with a_scheduler(tmp_path) as scheduler:
        await scheduler.create(a_spec())
        request = admin_pb2.CloneServiceRequest(
            name="digits", new_name="digits_two", spec_json='{"metadata": {"name": "digits_three"}}'
        )
        code, sentence = await refusal(scheduler.services.CloneService(request, timeout=DEADLINE))

    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert sentence.startswith("metadata.name: got 'digits_three'")


# ------------------------------------------------------------------- instances


async def test_an_isolated_instance_leaves_traffic_and_comes_back(tmp_path: Path) -> None:
    async with (
        a_scheduler(tmp_path) as scheduler,
        an_agent(scheduler) as agent,
        a_gateway(scheduler) as gateway,
    ):
        await scheduler.create(a_spec(instance=2))
        one, other = await serving(scheduler, agent, 2)
        await until(lambda: gateway.endpoints("digits") == {one, other}, "both routed")

        aside = admin_pb2.IsolateInstanceRequest(id=one, isolated=True, why="it answers slowly")
        answer = await scheduler.instances.IsolateInstance(aside, timeout=DEADLINE)
        assert answer.instance.isolated
        await until(lambda: gateway.endpoints("digits") == {other}, "one routed")
        back = admin_pb2.IsolateInstanceRequest(id=one, isolated=False)
        await scheduler.instances.IsolateInstance(back, timeout=DEADLINE)
        await until(lambda: gateway.endpoints("digits") == {one, other}, "both routed again")


async def test_a_detached_instance_leaves_traffic_for_ever(tmp_path: Path) -> None:
    async with (
        a_scheduler(tmp_path) as scheduler,
        an_agent(scheduler) as agent,
        a_gateway(scheduler) as gateway,
    ):
        await scheduler.create(a_spec(instance=2))
        one, other = await serving(scheduler, agent, 2)

        request = admin_pb2.DetachInstanceRequest(id=one)
        answer = await scheduler.instances.DetachInstance(request, timeout=DEADLINE)
        back = admin_pb2.IsolateInstanceRequest(id=one, isolated=False)
        refused = await refusal(scheduler.instances.IsolateInstance(back, timeout=DEADLINE))

        await until(lambda: gateway.endpoints("digits") == {other}, "one routed")
        assert answer.instance.detached
        assert refused[0] is PRECONDITION


async def test_what_runs_nowhere_cannot_be_restarted(tmp_path: Path) -> None:
    async with a_scheduler(tmp_path) as scheduler:
        await scheduler.create(a_spec())

        async def made() -> list[admin_pb2.Instance]:
            return await scheduler.instances_of("digits")

        (instance,) = await until(made, "the instance")
        request = admin_pb2.RestartInstanceRequest(id=instance.id)
        code, sentence = await refusal(scheduler.instances.RestartInstance(request, timeout=DEADLINE))

    assert (code, sentence) == (
        PRECONDITION,
        f"instance '{instance.id}' is Pending: it has no program to start anew",
    )


async def test_an_instance_that_is_to_be_restarted_leaves_traffic_first(tmp_path: Path) -> None:
    async with (
        a_scheduler(tmp_path) as scheduler,
        an_agent(scheduler) as agent,
        a_gateway(scheduler) as gateway,
    ):
        await scheduler.create(a_spec(instance=2))
        one, other = await serving(scheduler, agent, 2)
        await until(lambda: gateway.endpoints("digits") == {one, other}, "both routed")

        request = admin_pb2.RestartInstanceRequest(id=one)
        await scheduler.instances.RestartInstance(request, timeout=DEADLINE)

        await until(lambda: gateway.endpoints("digits") == {other}, "one routed")
        assert "InstanceRestartAsked" in await scheduler.event_reasons("digits")


async def test_an_instance_that_serves_is_deleted_once_another_serves(tmp_path: Path) -> None:
    async with (
        a_scheduler(tmp_path) as scheduler,
        an_agent(scheduler) as agent,
        a_gateway(scheduler) as gateway,
    ):
        await scheduler.create(a_spec())
        (one,) = await serving(scheduler, agent)
        await until(lambda: gateway.endpoints("digits") == {one}, "it routed")

        request = admin_pb2.DeleteInstanceRequest(id=one)
        await scheduler.instances.DeleteInstance(request, timeout=DEADLINE)
        both = await agent.sees(lambda a: len(a.assigned) == 2 and list(a.assigned), "its successor")
        assert gateway.endpoints("digits") == {one}
        (successor,) = set(both) - {one}
        agent.say_ready(successor, 20001)

        await until(lambda: gateway.endpoints("digits") == {successor}, "the successor alone routed")


# ------------------------------------------------------------------- retention


async def test_a_service_that_does_not_run_is_deleted_when_its_time_is_over(tmp_path: Path) -> None:
    async with a_scheduler(tmp_path) as scheduler:
        await scheduler.create(a_spec())
        await scheduler.create(a_spec("kept_one"))
        request = admin_pb2.SetSafetyLockRequest(name="kept_one", safety_lock=admin_pb2.SAFETY_LOCK_DANGEROUS)
        await scheduler.services.SetSafetyLock(request, timeout=DEADLINE)

    # Idle services are looked at as a scheduler starts.
    async with a_scheduler(tmp_path) as scheduler:

        async def idle() -> bool:
            return (await scheduler.service("digits")).HasField("delete_at")

        await until(idle, "the time of its deletion")
        assert not (await scheduler.service("kept_one")).HasField("delete_at")

    async with a_scheduler(tmp_path, delete_idle_after="PT0.001S") as scheduler:

        async def remaining() -> bool:
            listed = await scheduler.services.ListServices(admin_pb2.ListServicesRequest(), timeout=DEADLINE)
            return [service.name for service in listed.services] == ["kept_one"]

        await until(remaining, "the idle service gone")
        assert "IdleServiceDeleted" in await scheduler.event_reasons("digits")
        assert "IdleServiceKept" in await scheduler.event_reasons("kept_one")
