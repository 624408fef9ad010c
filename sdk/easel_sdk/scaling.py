"""When services change their size by themselves, over the admin API."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

from easel.admin.v1 import scaling_pb2 as pb
from easel.admin.v1 import scaling_pb2_grpc as rpc
from easel.autoscaler.v1 import autoscaler_pb2, autoscaler_pb2_grpc
from easel_sdk import _convert_scaling as convert
from easel_sdk._wire import Wire, pages
from easel_sdk.scaling_types import (
    Autoscaler,
    AutoscalerWritten,
    Cronscaler,
    CronscalerWritten,
    LoadPoint,
    Replay,
    Scaling,
)

_PAGE = 200
_REPLAY_SECONDS = 30.0


class AsyncAutoscalers:
    """Policies by which services grow and shrink with their load."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._stub = rpc.AutoscalerServiceStub(wire.channel)
        self._replays = autoscaler_pb2_grpc.ReplayServiceStub(wire.channel)

    async def set(
        self, service: str, policy: Mapping[str, Any] | str, *, merge: bool = False
    ) -> AutoscalerWritten:
        """The policy as `autoscaler` of a service.json; with `merge`, only what changes of it."""
        text = convert.policy_text(policy)
        request = pb.SetAutoscalerRequest(service=service, policy_json=text, merge=merge)
        answer = await self._wire.call(self._stub.SetAutoscaler, request)
        return AutoscalerWritten(convert.autoscaler(answer.autoscaler), tuple(answer.warnings))

    async def get(self, service: str) -> Autoscaler:
        request = pb.GetAutoscalerRequest(service=service)
        answer = await self._wire.call(self._stub.GetAutoscaler, request, repeatable=True)
        return convert.autoscaler(answer.autoscaler)

    async def delete(self, service: str) -> None:
        """The service keeps the size that it has, and wakes if it sleeps."""
        await self._wire.call(self._stub.DeleteAutoscaler, pb.DeleteAutoscalerRequest(service=service))

    async def list(self) -> AsyncIterator[Autoscaler]:
        async def page(token: str) -> tuple[list[Autoscaler], str]:
            request = pb.ListAutoscalersRequest(page_size=_PAGE, page_token=token)
            answer = await self._wire.call(self._stub.ListAutoscalers, request, repeatable=True)
            return [convert.autoscaler(each) for each in answer.autoscalers], answer.next_page_token

        async for autoscaler in pages(page):
            yield autoscaler

    async def history(self, service: str, *, page_size: int = _PAGE) -> AsyncIterator[Scaling]:
        """Every change of the service's size, newest first, whoever made it."""

        async def page(token: str) -> tuple[list[Scaling], str]:
            request = pb.ListScalingsRequest(service=service, page_size=page_size, page_token=token)
            answer = await self._wire.call(self._stub.ListScalings, request, repeatable=True)
            return [convert.scaling(each) for each in answer.scalings], answer.next_page_token

        async for scaling in pages(page):
            yield scaling

    async def replay(
        self,
        load: Sequence[LoadPoint],
        policy: Mapping[str, Any] | str | None = None,
        *,
        schedule: Mapping[str, Any] | str | None = None,
        instances: int = 1,
        start: timedelta = timedelta(seconds=10),
    ) -> Replay:
        """What a policy, a schedule or both would have done with a load, in order of time.

        It begins with so many `instances`; `start` is how long one takes to be ready.
        """
        request = autoscaler_pb2.ReplayRequest(
            autoscaler_json=convert.policy_text(policy) if policy is not None else "",
            cronscaler_json=convert.policy_text(schedule) if schedule is not None else "",
            load=[convert.load_to_proto(point) for point in load],
            instances=instances,
            start_s=start.total_seconds(),
        )
        method = self._replays.Replay
        return convert.replay(await self._wire.call(method, request, seconds=_REPLAY_SECONDS))


class AsyncCronscalers:
    """Schedules of services' sizes."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._stub = rpc.AutoscalerServiceStub(wire.channel)

    async def set(self, service: str, policy: Mapping[str, Any] | str) -> CronscalerWritten:
        """The schedule, {"ScaleJobs": [...], "ExcludeDates": [...]}, in the place of the one there was."""
        request = pb.SetCronscalerRequest(service=service, policy_json=convert.policy_text(policy))
        answer = await self._wire.call(self._stub.SetCronscaler, request)
        return CronscalerWritten(convert.cronscaler(answer.cronscaler), tuple(answer.warnings))

    async def get(self, service: str) -> Cronscaler:
        request = pb.GetCronscalerRequest(service=service)
        answer = await self._wire.call(self._stub.GetCronscaler, request, repeatable=True)
        return convert.cronscaler(answer.cronscaler)

    async def delete(self, service: str) -> None:
        await self._wire.call(self._stub.DeleteCronscaler, pb.DeleteCronscalerRequest(service=service))

    async def list(self) -> AsyncIterator[Cronscaler]:
        async def page(token: str) -> tuple[list[Cronscaler], str]:
            request = pb.ListCronscalersRequest(page_size=_PAGE, page_token=token)
            answer = await self._wire.call(self._stub.ListCronscalers, request, repeatable=True)
            return [convert.cronscaler(each) for each in answer.cronscalers], answer.next_page_token

        async for cronscaler in pages(page):
            yield cronscaler
