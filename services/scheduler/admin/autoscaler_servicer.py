"""Policies and the history of sizes on the wire."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeAlias

import grpc

from easel.admin.v1 import scaling_pb2 as pb
from easel.admin.v1 import scaling_pb2_grpc
from libs.db.store import Store
from libs.domain.errors import NotFound
from libs.domain.records import Event, Service
from libs.domain.scaling import Autoscaler, CronJobState, Cronscaler
from libs.rpc.convert import time_to_proto
from libs.spec.autoscaler import CronScaler, ScaleJob
from services.scheduler.ledger import Ledger
from services.scheduler.paging import event_page, page
from services.scheduler.scaling.begin import (
    Set,
    remove_autoscaler,
    remove_cronscaler,
    set_autoscaler,
    set_cronscaler,
)
from services.scheduler.scaling.history import REASON
from services.scheduler.scaling.policies import cronscaler_read, next_run
from services.scheduler.world import World

Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]


class AutoscalerServicer(scaling_pb2_grpc.AutoscalerServiceServicer):
    """Translates; what happens is in `services/scheduler/scaling`."""

    def __init__(
        self, ledger: Ledger, store: Store, waiting: Callable[[str], int], clock: Callable[[], datetime]
    ) -> None:
        """`waiting` tells how many requests gateways hold for a service."""
        self._ledger, self._world, self._store = ledger, ledger.world, store
        self._waiting, self._clock = waiting, clock

    async def SetAutoscaler(
        self, request: pb.SetAutoscalerRequest, context: Context
    ) -> pb.SetAutoscalerResponse:
        warnings = await self._set(
            lambda world: set_autoscaler(
                world, request.service, request.policy_json, request.merge, self._clock()
            )
        )
        return pb.SetAutoscalerResponse(autoscaler=await self._autoscaler(request.service), warnings=warnings)

    async def GetAutoscaler(
        self, request: pb.GetAutoscalerRequest, context: Context
    ) -> pb.GetAutoscalerResponse:
        return pb.GetAutoscalerResponse(autoscaler=await self._autoscaler(request.service))

    async def ListAutoscalers(
        self, request: pb.ListAutoscalersRequest, context: Context
    ) -> pb.ListAutoscalersResponse:
        rows = self._world.autoscalers.values()
        shown, more = page(rows, lambda each: each.service, request.page_size, request.page_token)
        views = await self._autoscalers([each.service for each in shown])
        return pb.ListAutoscalersResponse(autoscalers=views, next_page_token=more)

    async def DeleteAutoscaler(
        self, request: pb.DeleteAutoscalerRequest, context: Context
    ) -> pb.DeleteAutoscalerResponse:
        await self._ledger.change(lambda world: remove_autoscaler(world, request.service, self._clock()))
        return pb.DeleteAutoscalerResponse()

    async def SetCronscaler(
        self, request: pb.SetCronscalerRequest, context: Context
    ) -> pb.SetCronscalerResponse:
        warnings = await self._set(
            lambda world: set_cronscaler(world, request.service, request.policy_json, self._clock())
        )
        return pb.SetCronscalerResponse(cronscaler=self._cronscaler(request.service), warnings=warnings)

    async def GetCronscaler(
        self, request: pb.GetCronscalerRequest, context: Context
    ) -> pb.GetCronscalerResponse:
        return pb.GetCronscalerResponse(cronscaler=self._cronscaler(request.service))

    async def ListCronscalers(
        self, request: pb.ListCronscalersRequest, context: Context
    ) -> pb.ListCronscalersResponse:
        rows = self._world.cronscalers.values()
        shown, more = page(rows, lambda each: each.service, request.page_size, request.page_token)
        views = [cronscaler_view(each, self._clock()) for each in shown]
        return pb.ListCronscalersResponse(cronscalers=views, next_page_token=more)

    async def DeleteCronscaler(
        self, request: pb.DeleteCronscalerRequest, context: Context
    ) -> pb.DeleteCronscalerResponse:
        await self._ledger.change(lambda world: remove_cronscaler(world, request.service, self._clock()))
        return pb.DeleteCronscalerResponse()

    async def ListScalings(
        self, request: pb.ListScalingsRequest, context: Context
    ) -> pb.ListScalingsResponse:
        found = partial(self._store.events, service=request.service, reason=REASON)
        shown, more = await event_page(found, request.page_size, request.page_token)
        return pb.ListScalingsResponse(scalings=map(scaling_view, shown), next_page_token=more)

    async def _set(self, decide: Callable[[World], Set]) -> tuple[str, ...]:
        """Commits it; what the author must hear."""
        made: list[Set] = []

        def decided(world: World) -> Any:
            made[:] = [decide(world)]
            return made[0].changes

        await self._ledger.change(decided)
        return made[0].warnings

    async def _autoscaler(self, name: str) -> pb.Autoscaler:
        """Raises NotFound."""
        newest = await self._store.events(service=name, reason=REASON, limit=1)
        service, record = self._world.service(name), self._world.autoscalers.get(name)
        if record is None:
            raise NotFound(f"service {name!r} has no autoscaler")
        return self._viewed(service, record, next(iter(newest), None))

    async def _autoscalers(self, names: Sequence[str]) -> list[pb.Autoscaler]:
        """Those that are still there, in the same order, each with its newest change of size."""
        newest = await self._store.newest_events(names, REASON)
        views = []
        for name in names:
            service, record = self._world.services.get(name), self._world.autoscalers.get(name)
            if service is not None and record is not None:
                views.append(self._viewed(service, record, newest.get(name)))
        return views

    def _viewed(self, service: Service, record: Autoscaler, newest: Event | None) -> pb.Autoscaler:
        view = autoscaler_view(record)
        view.wanted, view.waiting = service.wanted, self._waiting(service.name)
        view.ready = sum(each.serves for each in self._world.instances_of(service.name))
        if newest is not None:
            view.last.CopyFrom(scaling_view(newest))
        return view

    def _cronscaler(self, name: str) -> pb.Cronscaler:
        """Raises NotFound."""
        self._world.service(name)
        record = self._world.cronscalers.get(name)
        if record is None:
            raise NotFound(f"service {name!r} has no schedule")
        return cronscaler_view(record, self._clock())


def autoscaler_view(record: Autoscaler) -> pb.Autoscaler:
    return pb.Autoscaler(
        service=record.service,
        policy_json=record.policy_json,
        created_at=time_to_proto(record.created_at),
        updated_at=time_to_proto(record.updated_at),
        revision=record.revision,
    )


def cronscaler_view(record: Cronscaler, now: datetime) -> pb.Cronscaler:
    scaler = cronscaler_read(record.policy_json)
    states = {state.name: state for state in record.jobs}
    view = pb.Cronscaler(
        service=record.service,
        policy_json=record.policy_json,
        created_at=time_to_proto(record.created_at),
        updated_at=time_to_proto(record.updated_at),
        revision=record.revision,
    )
    for job in scaler.scale_jobs:
        state = states.get(job.name, CronJobState(job.name))
        over = job.run_once and state.last_run_ms
        view.jobs.add(
            name=job.name,
            schedule=job.schedule,
            target_size=job.target_size,
            time_zone=job.time_zone or "UTC",
            state=state.state,
            message=state.message or _never(record, scaler, job, state),
            last_run_at=time_to_proto(_moment(state.last_run_ms)),
            next_run_at=time_to_proto(None if over else next_run(scaler, job, now)),
        )
    return view


def _never(record: Cronscaler, scaler: CronScaler, job: ScaleJob, state: CronJobState) -> str:
    """Why nothing becomes of a job that had no time to come when it was set; else empty.

    One that was due since then is yet to be carried out, however late.
    """
    if state.last_run_ms or next_run(scaler, job, record.updated_at) is not None:
        return ""
    return "it never runs: no such time is to come"


def scaling_view(event: Event) -> pb.Scaling:
    details = event.details
    return pb.Scaling(
        id=event.id,
        at=time_to_proto(event.at),
        service=event.service,
        before=int(details.get("before", 0)),
        after=int(details.get("after", 0)),
        policy=details.get("policy", ""),
        why=event.why,
        metric=details.get("metric", ""),
        value=float(details.get("value", 0)),
        threshold=float(details.get("threshold", 0)),
    )


def _moment(ms: int) -> datetime | None:
    return datetime.fromtimestamp(ms / 1000, UTC) if ms else None
