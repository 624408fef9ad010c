"""Access tokens over the wire: made, listed, shown, given new values, ended."""

from pathlib import Path

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration

from easel.admin.v1 import admin_pb2 as pb
from tests.support.builders import a_spec
from tests.support.scheduler_harness import DEADLINE, RunningScheduler, a_scheduler
from tests.support.waiting import until


async def names(scheduler: RunningScheduler) -> list[str]:
    request = pb.ListAccessTokensRequest(service="digits")
    listed = await scheduler.access_tokens.ListAccessTokens(request, timeout=DEADLINE)
    return [each.name for each in listed.tokens]


async def make(scheduler: RunningScheduler, name: str, **more: object) -> pb.CreateAccessTokenResponse:
    request = pb.CreateAccessTokenRequest(service="digits", name=name, **more)  # type: ignore[arg-type]
    return await scheduler.access_tokens.CreateAccessToken(request, timeout=DEADLINE)


async def test_tokens_come_and_go_and_are_there_after_a_restart(tmp_path: Path) -> None:
    async with a_scheduler(tmp_path) as scheduler:
        await scheduler.create(a_spec())
        made = await make(scheduler, "partner")
        shown = await scheduler.access_tokens.GetAccessToken(
            pb.GetAccessTokenRequest(id=made.token.id), timeout=DEADLINE
        )
        assert shown.value == made.value
    async with a_scheduler(tmp_path) as scheduler:
        assert await names(scheduler) == ["default", "partner"]
        await scheduler.access_tokens.DeleteAccessToken(
            pb.DeleteAccessTokenRequest(id=made.token.id), timeout=DEADLINE
        )
        assert await names(scheduler) == ["default"]
        assert "AccessTokenDeleted" in await scheduler.event_reasons("digits")


async def test_a_rotated_token_keeps_its_name_and_the_old_value_for_a_while(tmp_path: Path) -> None:
    async with a_scheduler(tmp_path) as scheduler:
        await scheduler.create(a_spec())
        made = await make(scheduler, "partner")
        request = pb.RotateAccessTokenRequest(id=made.token.id, overlap=Duration(seconds=3600))
        rotated = await scheduler.access_tokens.RotateAccessToken(request, timeout=DEADLINE)

        assert rotated.value != made.value
        assert (rotated.token.name, rotated.before.name) == ("partner", "partner-before")
        assert await names(scheduler) == ["default", "partner", "partner-before"]


async def test_the_first_token_is_what_get_service_token_says_also_when_rotated(tmp_path: Path) -> None:
    async with a_scheduler(tmp_path) as scheduler:
        await scheduler.create(a_spec())
        request = pb.RotateAccessTokenRequest(id="service:digits", overlap=Duration())
        rotated = await scheduler.access_tokens.RotateAccessToken(request, timeout=DEADLINE)
        told = await scheduler.services.GetServiceToken(
            pb.GetServiceTokenRequest(name="digits"), timeout=DEADLINE
        )

        assert told.token == rotated.value
        assert await names(scheduler) == ["default"]
        assert (await scheduler.service("digits")).version == 1


async def test_a_token_goes_when_its_time_is_over(tmp_path: Path) -> None:
    async with a_scheduler(tmp_path) as scheduler:
        await scheduler.create(a_spec())
        await make(scheduler, "brief", valid_for=Duration(seconds=1))

        async def gone() -> bool:
            return "brief" not in await names(scheduler)

        await until(gone)
        assert "AccessTokenExpired" in await scheduler.event_reasons("digits")


async def test_a_length_of_time_beyond_all_years_is_refused(tmp_path: Path) -> None:
    async with a_scheduler(tmp_path) as scheduler:
        await scheduler.create(a_spec())
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await make(scheduler, "endless", valid_for=Duration(seconds=10**15))

        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert str(refused.value.details()).startswith("valid_for: got ")


async def test_tokens_of_what_is_not_there_are_refused(tmp_path: Path) -> None:
    async with a_scheduler(tmp_path) as scheduler:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await make(scheduler, "partner")
        assert refused.value.code() is grpc.StatusCode.NOT_FOUND
        with pytest.raises(grpc.aio.AioRpcError) as unclear:
            await scheduler.access_tokens.ListAccessTokens(pb.ListAccessTokensRequest(), timeout=DEADLINE)
        assert unclear.value.code() is grpc.StatusCode.INVALID_ARGUMENT
