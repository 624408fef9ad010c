"""The admin API as any client sees it."""

import json
from pathlib import Path

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from easel.admin.v1 import admin_pb2, admin_pb2_grpc
from libs.db.store import open_store
from libs.rpc.client import dial
from services.scheduler.paging import encoded
from tests.support.builders import a_spec
from tests.support.scheduler_harness import DEADLINE, RunningScheduler, a_scheduler, an_agent
from tests.support.waiting import until
from tests.unit.spec.malformed import MALFORMED


async def refusal(call: object) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call  # type: ignore[misc]
    return caught.value


async def test_every_malformed_service_is_refused_in_one_sentence_and_leaves_no_trace(
    tmp_path: Path,
) -> None:
    async with a_scheduler(tmp_path) as scheduler:
        for bad in MALFORMED:
            text = bad.document if isinstance(bad.document, str) else json.dumps(bad.document)
            request = admin_pb2.CreateServiceRequest(spec_json=text)
            error = await refusal(scheduler.services.CreateService(request, timeout=DEADLINE))
            sentence = error.details() or ""
            assert error.code() is grpc.StatusCode.INVALID_ARGUMENT, bad.id
            assert sentence.startswith(f"{bad.path}: got "), bad.id
            assert "\n" not in sentence, bad.id

    async with open_store(f"sqlite:///{tmp_path}/easel.db") as store:
        contents = await store.load()
        assert len(MALFORMED) >= 50
        assert (contents.services, contents.versions, contents.instances) == ((), (), ())
        assert await store.events() == ()


async def test_a_refusal_carries_the_field_for_programs(tmp_path: Path) -> None:
    async with a_scheduler(tmp_path) as scheduler:
        spec = a_spec(cpu=-1)
        request = admin_pb2.CreateServiceRequest(spec_json=json.dumps(spec))
        error = await refusal(scheduler.services.CreateService(request, timeout=DEADLINE))

    status = status_pb2.Status.FromString(
        dict(error.trailing_metadata() or ())["grpc-status-details-bin"]  # type: ignore[arg-type]
    )
    bad = error_details_pb2.BadRequest()
    assert any(detail.Unpack(bad) for detail in status.details)
    assert bad.field_violations[0].field == "metadata.cpu"


async def test_a_call_without_a_known_token_of_the_right_role_is_refused(tmp_path: Path) -> None:
    async with a_scheduler(tmp_path) as scheduler:
        request = admin_pb2.ListServicesRequest()
        codes = []
        for token in ("", "guessed", scheduler.join_token):
            async with dial(scheduler.address, token) as channel:
                stub = admin_pb2_grpc.ServiceServiceStub(channel)
                error = await refusal(stub.ListServices(request, timeout=DEADLINE))
                codes.append(error.code())

    unauthenticated = grpc.StatusCode.UNAUTHENTICATED
    assert codes == [unauthenticated, unauthenticated, grpc.StatusCode.PERMISSION_DENIED]


async def test_the_autoscaler_has_an_admin_token_of_its_own_where_a_file_is_named(tmp_path: Path) -> None:
    told = []
    for _ in range(2):
        async with a_scheduler(tmp_path, autoscaler_token_file=tmp_path / "autoscaler.token") as scheduler:
            token = (tmp_path / "autoscaler.token").read_text().strip()
            async with dial(scheduler.address, token) as channel:
                stub = admin_pb2_grpc.TokenServiceStub(channel)
                listed = await stub.ListTokens(admin_pb2.ListTokensRequest(), timeout=DEADLINE)
            told.append((token, sorted((each.name, each.role) for each in listed.tokens)))

    assert told[0] == told[1]
    assert told[0][0] != scheduler.admin_token
    assert told[0][1] == [("admin", "admin"), ("autoscaler", "admin"), ("join", "join")]


async def test_a_new_token_opens_the_api_until_it_is_deleted_and_the_last_one_stays(tmp_path: Path) -> None:
    async with a_scheduler(tmp_path) as scheduler:
        made = await scheduler.tokens.CreateToken(
            admin_pb2.CreateTokenRequest(name="ci", role="admin"), timeout=DEADLINE
        )
        async with dial(scheduler.address, made.secret) as channel:
            stub = admin_pb2_grpc.ServiceServiceStub(channel)
            await stub.ListServices(admin_pb2.ListServicesRequest(), timeout=DEADLINE)
            delete = admin_pb2.DeleteTokenRequest(id=made.token.id)
            await scheduler.tokens.DeleteToken(delete, timeout=DEADLINE)
            error = await refusal(stub.ListServices(admin_pb2.ListServicesRequest(), timeout=DEADLINE))
            assert error.code() is grpc.StatusCode.UNAUTHENTICATED
        listed = await scheduler.tokens.ListTokens(admin_pb2.ListTokensRequest(), timeout=DEADLINE)
        (last,) = [token.id for token in listed.tokens if token.role == "admin"]
        request = admin_pb2.DeleteTokenRequest(id=last)
        error = await refusal(scheduler.tokens.DeleteToken(request, timeout=DEADLINE))
        assert error.code() is grpc.StatusCode.FAILED_PRECONDITION


async def test_repeating_a_create_with_its_key_answers_the_same_and_without_it_is_refused(
    tmp_path: Path,
) -> None:
    async with a_scheduler(tmp_path) as scheduler:
        first = await scheduler.create(a_spec(), key="k1")
        again = await scheduler.create(a_spec(), key="k1")
        error = await refusal(scheduler.create(a_spec(), key="k2"))
        changed = await refusal(scheduler.create(a_spec(cpu=2), key="k1"))

    assert first.id == again.id
    assert error.code() is changed.code() is grpc.StatusCode.ALREADY_EXISTS


async def test_changing_only_the_number_of_instances_makes_no_version(tmp_path: Path) -> None:
    async with a_scheduler(tmp_path) as scheduler:
        await scheduler.create(a_spec())
        scaled = await updated(scheduler, {"metadata": {"instance": 3}})
        changed = await updated(scheduler, {"metadata": {"cpu": 2}})

    assert (scaled.version, scaled.wanted) == (1, 3)
    assert (changed.version, changed.wanted) == (2, 3)


async def test_an_update_of_a_shown_document_keeps_the_secrets_that_were_hidden_in_it(tmp_path: Path) -> None:
    async with a_scheduler(tmp_path) as scheduler:
        created = await scheduler.create({**a_spec(), "token": "first-token"})
        assert "first-token" not in created.spec_json
        shown = json.loads(created.spec_json)
        shown["metadata"]["cpu"] = 2
        replace = admin_pb2.UpdateServiceRequest.MODE_REPLACE
        await updated(scheduler, shown, mode=replace)
        told = await scheduler.services.GetServiceToken(
            admin_pb2.GetServiceTokenRequest(name="digits"), timeout=DEADLINE
        )

    assert told.token == "first-token"


async def test_a_write_computed_from_an_older_revision_is_refused(tmp_path: Path) -> None:
    async with a_scheduler(tmp_path) as scheduler:
        created = await scheduler.create(a_spec())
        await updated(scheduler, {"metadata": {"cpu": 2}})
        request = admin_pb2.UpdateServiceRequest(
            name="digits", spec_json='{"metadata": {"cpu": 3}}', if_revision=created.revision
        )
        error = await refusal(scheduler.services.UpdateService(request, timeout=DEADLINE))

    assert error.code() is grpc.StatusCode.ABORTED


async def test_a_listing_is_cut_into_pages_that_miss_and_repeat_nothing(tmp_path: Path) -> None:
    async with a_scheduler(tmp_path) as scheduler:
        for n in range(5):
            await scheduler.create(a_spec(f"service_{n}"))
        names, token, pages = [], "", 0
        while pages == 0 or token:
            request = admin_pb2.ListServicesRequest(page_size=2, page_token=token)
            answer = await scheduler.services.ListServices(request, timeout=DEADLINE)
            names += [service.name for service in answer.services]
            token, pages = answer.next_page_token, pages + 1

    assert (names, pages) == ([f"service_{n}" for n in range(5)], 3)


async def test_a_watch_begins_with_the_full_state_and_then_tells_changes(tmp_path: Path) -> None:
    async with a_scheduler(tmp_path) as scheduler:
        await scheduler.create(a_spec("one_a"))
        watch = scheduler.services.WatchServices(admin_pb2.WatchServicesRequest(), timeout=DEADLINE)
        first, synced = await watch.read(), await watch.read()
        await scheduler.create(a_spec("two_b"))
        change = await watch.read()
        while change.service.name != "two_b":
            change = await watch.read()
        watch.cancel()

    assert (first.service.name, synced.synced) == ("one_a", True)


async def test_what_this_version_does_not_carry_out_is_an_event_at_deploy_time(tmp_path: Path) -> None:
    async with a_scheduler(tmp_path) as scheduler:
        spec = {**a_spec(min_replica=2), "autoscaler": {"min": 1, "max": 3}}
        await scheduler.create(spec)
        reasons = await scheduler.event_reasons("digits")

    assert reasons.count("SpecWarning") == 2


async def test_why_an_instance_is_pending_is_said_for_each_group_of_nodes(tmp_path: Path) -> None:
    async with a_scheduler(tmp_path) as scheduler, an_agent(scheduler):
        await scheduler.create(a_spec(cpu=64))

        async def reasons() -> list[str]:
            return list((await scheduler.service("digits")).pending_reasons)

        (sentence,) = await until(reasons, "a reason")

    assert "public" in sentence
    assert "CPU" in sentence


async def test_reflection_lists_the_admin_api_without_a_token(tmp_path: Path) -> None:
    async with a_scheduler(tmp_path) as scheduler, grpc.aio.insecure_channel(scheduler.address) as channel:
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        request = reflection_pb2.ServerReflectionRequest(list_services="")
        async for answer in stub.ServerReflectionInfo(iter([request]), timeout=DEADLINE):
            listed = {service.name for service in answer.list_services_response.service}
            break

    contracts = ("Service", "Instance", "Node", "Event", "Token")
    assert {f"easel.admin.v1.{name}Service" for name in contracts} <= listed


async def updated(
    scheduler: RunningScheduler,
    change: object,
    mode: admin_pb2.UpdateServiceRequest.Mode.ValueType = admin_pb2.UpdateServiceRequest.MODE_MERGE,
) -> admin_pb2.Service:
    request = admin_pb2.UpdateServiceRequest(name="digits", spec_json=json.dumps(change), mode=mode)
    return (await scheduler.services.UpdateService(request, timeout=DEADLINE)).service


@pytest.mark.parametrize("key", ["\u00b2", "9" * 40, "twelve"])
async def test_a_page_token_that_nobody_gave_out_is_refused_and_breaks_nothing(
    tmp_path: Path, key: str
) -> None:
    async with a_scheduler(tmp_path) as scheduler:
        request = admin_pb2.ListEventsRequest(page_token=encoded(key))
        error = await refusal(scheduler.events.ListEvents(request, timeout=DEADLINE))

    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
