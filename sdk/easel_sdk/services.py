"""Services over the admin API."""

import json
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from easel.admin.v1 import admin_pb2 as pb
from easel.admin.v1 import admin_pb2_grpc as rpc
from easel_sdk import _convert as convert
from easel_sdk import _convert_traffic as convert_traffic
from easel_sdk._wire import Wire, pages
from easel_sdk.types import (
    Action,
    Finding,
    Ramp,
    RampPlan,
    RolloutPlan,
    SafetyLock,
    Service,
    ServiceChange,
    ServiceVersion,
    UpdatePlan,
    Written,
)

Spec = str | Mapping[str, Any]
_PAGE = 200


def spec_text(spec: Spec) -> str:
    """A service.json as text; text is sent as it is."""
    return spec if isinstance(spec, str) else json.dumps(spec)


def _update(
    name: str,
    spec: Spec,
    *,
    replace: bool = False,
    if_revision: int = 0,
    to_version: int = 0,
    plan: RolloutPlan | None = None,
) -> pb.UpdateServiceRequest:
    mode = pb.UpdateServiceRequest.MODE_REPLACE if replace else pb.UpdateServiceRequest.MODE_MERGE
    return pb.UpdateServiceRequest(
        name=name,
        spec_json=spec_text(spec),
        mode=mode,
        if_revision=if_revision,
        to_version=to_version,
        plan=convert.plan_to_proto(plan),
    )


class AsyncServices:
    """Create, read, change and watch services. Every method raises `easel_sdk.EaselError`s."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._stub = rpc.ServiceServiceStub(wire.channel)
        self._groups = rpc.GroupServiceStub(wire.channel)

    async def create(self, spec: Spec, *, idempotency_key: str = "") -> Written:
        """Creates a service. Sent again if the scheduler is away for a moment; it is created once."""
        request = pb.CreateServiceRequest(
            spec_json=spec_text(spec), idempotency_key=idempotency_key or uuid.uuid4().hex
        )
        answer = await self._wire.call(self._stub.CreateService, request, repeatable=True)
        return convert.written(answer.service, answer.warnings)

    async def get(self, name: str) -> Service:
        request = pb.GetServiceRequest(name=name)
        answer = await self._wire.call(self._stub.GetService, request, repeatable=True)
        return convert.service(answer.service)

    async def list(
        self, *, containing: str = "", labels: Mapping[str, str] | None = None
    ) -> AsyncIterator[Service]:
        """Every service whose name contains `containing` and that carries all `labels`."""

        async def page(token: str) -> tuple[list[Service], str]:
            request = pb.ListServicesRequest(
                page_size=_PAGE, page_token=token, filter=containing, labels=labels or {}
            )
            answer = await self._wire.call(self._stub.ListServices, request, repeatable=True)
            return [convert.service(each) for each in answer.services], answer.next_page_token

        async for service in pages(page):
            yield service

    async def update(
        self,
        name: str,
        spec: Spec,
        *,
        replace: bool = False,
        if_revision: int = 0,
        plan: RolloutPlan | None = None,
    ) -> Written:
        """Merges `spec` into the service's, or replaces it. `if_revision` refuses a stale write; no `plan`
        takes what the service.json says."""
        request = _update(name, spec, replace=replace, if_revision=if_revision, plan=plan)
        answer = await self._wire.call(self._stub.UpdateService, request)
        return convert.written(answer.service, answer.warnings)

    async def roll_to(self, name: str, version: int, *, plan: RolloutPlan | None = None) -> Written:
        """Goes to a version that is there already, usually an earlier one. No version is made."""
        request = _update(name, "", to_version=version, plan=plan)
        answer = await self._wire.call(self._stub.UpdateService, request)
        return convert.written(answer.service, answer.warnings)

    async def plan_update(
        self,
        name: str,
        spec: Spec = "",
        *,
        replace: bool = False,
        to_version: int = 0,
        plan: RolloutPlan | None = None,
    ) -> UpdatePlan:
        """What `update`, or `roll_to` where `to_version` is given, would do. Nothing is changed."""
        update = _update(name, spec, replace=replace, to_version=to_version, plan=plan)
        request = pb.PlanServiceUpdateRequest(update=update)
        answer = await self._wire.call(self._stub.PlanServiceUpdate, request, repeatable=True)
        return convert.update_plan(answer)

    async def clone(self, name: str, new_name: str, spec: Spec = "") -> Written:
        """Creates a service with the service.json of another, `spec` merged into it."""
        request = pb.CloneServiceRequest(name=name, new_name=new_name, spec_json=spec_text(spec))
        answer = await self._wire.call(self._stub.CloneService, request)
        return convert.written(answer.service, answer.warnings)

    async def set_lock(self, name: str, lock: SafetyLock | str) -> Service:
        """What the service refuses from now on: nothing, what takes it away, or every change."""
        number = convert.lock_to_proto(SafetyLock(lock))
        request = pb.SetSafetyLockRequest(name=name, safety_lock=number)
        return convert.service((await self._wire.call(self._stub.SetSafetyLock, request)).service)

    async def set_labels(self, name: str, labels: Mapping[str, str]) -> Service:
        """Sets these labels; an empty value removes one. Others stay, and nothing is replaced."""
        request = pb.SetServiceLabelsRequest(name=name, labels=labels)
        return convert.service((await self._wire.call(self._stub.SetServiceLabels, request)).service)

    async def rollout_set(self, name: str, plan: RolloutPlan) -> Service:
        """Gives the update under way another plan. What was updated stays so."""
        request = pb.SetRolloutPlanRequest(name=name, plan=convert.plan_to_proto(plan))
        return convert.service((await self._wire.call(self._stub.SetRolloutPlan, request)).service)

    async def rollout_pause(self, name: str) -> Service:
        return await self.rollout_control(name, Action.PAUSE)

    async def rollout_resume(self, name: str) -> Service:
        return await self.rollout_control(name, Action.RESUME)

    async def rollout_promote(self, name: str) -> Service:
        """Lets the rest go at once, within max_surge and max_unavailable."""
        return await self.rollout_control(name, Action.PROMOTE)

    async def rollout_undo(self, name: str) -> Service:
        """Goes back to the version before the update."""
        return await self.rollout_control(name, Action.UNDO)

    async def rollout_control(self, name: str, action: Action) -> Service:
        request = pb.ControlRolloutRequest(name=name, action=convert.action_to_proto(action))
        return convert.service((await self._wire.call(self._stub.ControlRollout, request)).service)

    async def release(
        self, name: str, *, traffic_state: str | None = None, weight: int | None = None
    ) -> Service:
        """Sets what a member takes of its group's requests, and leaves what is None.

        `traffic_state` is "grouping" or "standalone"; `weight` -1 to 1000, where -1 stands for as many as
        its ready instances. To set a weight makes the group's traffic mode customized.
        """
        state = convert_traffic.traffic_state_to_proto(traffic_state)
        request = pb.ReleaseServiceRequest(name=name, traffic_state=state, weight=weight)
        return convert.service((await self._wire.call(self._groups.ReleaseService, request)).service)

    async def ramp(self, name: str, plan: RampPlan) -> Ramp:
        """Begins to take a member to its group's requests in steps, and back when it does badly."""
        request = pb.StartRampRequest(name=name, plan=convert_traffic.ramp_plan_to_proto(plan))
        return convert_traffic.ramp((await self._wire.call(self._groups.StartRamp, request)).ramp)

    async def end_ramp(self, name: str, *, back: bool = False) -> Ramp:
        """Ends the ramp at the step it has reached, or takes the member `back` to what it had before."""
        request = pb.EndRampRequest(name=name, back=back)
        return convert_traffic.ramp((await self._wire.call(self._groups.EndRamp, request)).ramp)

    async def diagnose(self, name: str) -> tuple[Finding, ...]:
        """What is wrong with the service and its instances, errors first; empty when nothing is."""
        request = pb.DiagnoseServiceRequest(name=name)
        answer = await self._wire.call(self._stub.DiagnoseService, request, repeatable=True)
        return tuple(convert.finding(each) for each in answer.findings)

    async def delete(self, name: str) -> None:
        await self._wire.call(self._stub.DeleteService, pb.DeleteServiceRequest(name=name))

    async def start(self, name: str) -> Service:
        answer = await self._wire.call(self._stub.StartService, pb.StartServiceRequest(name=name))
        return convert.service(answer.service)

    async def stop(self, name: str) -> Service:
        answer = await self._wire.call(self._stub.StopService, pb.StopServiceRequest(name=name))
        return convert.service(answer.service)

    async def restart(self, name: str) -> Service:
        answer = await self._wire.call(self._stub.RestartService, pb.RestartServiceRequest(name=name))
        return convert.service(answer.service)

    async def scale(
        self, name: str, instances: int, *, why: str = "", instances_to_delete: Sequence[str] = ()
    ) -> Service:
        """`instances_to_delete` go first, where fewer are wanted: at most as many as that makes fewer.

        A size beyond the bounds of the service's autoscaler is refused.
        """
        request = pb.ScaleServiceRequest(
            name=name, instances=instances, why=why, instances_to_delete=instances_to_delete
        )
        answer = await self._wire.call(self._stub.ScaleService, request)
        return convert.service(answer.service)

    async def versions(self, name: str) -> AsyncIterator[ServiceVersion]:
        """Every version of the service, as the scheduler orders them."""

        async def page(token: str) -> tuple[list[ServiceVersion], str]:
            request = pb.ListServiceVersionsRequest(name=name, page_size=_PAGE, page_token=token)
            answer = await self._wire.call(self._stub.ListServiceVersions, request, repeatable=True)
            return [convert.version(each) for each in answer.versions], answer.next_page_token

        async for version in pages(page):
            yield version

    async def token(self, name: str) -> str:
        """The token that callers of this service present."""
        request = pb.GetServiceTokenRequest(name=name)
        answer = await self._wire.call(self._stub.GetServiceToken, request, repeatable=True)
        return answer.token

    async def watch(self, name: str = "") -> AsyncIterator[ServiceChange]:
        """The state now, one step marked `synced`, then every change; empty `name` watches all.

        A lost scheduler is looked for again. The state is then told anew, and what was deleted
        meanwhile is told as deleted, so that whoever applies the steps in order is always right.
        """
        known: dict[str, Service] = {}
        fresh: dict[str, Service] = {}
        syncing = True

        def request() -> pb.WatchServicesRequest:
            nonlocal syncing
            syncing = True
            fresh.clear()
            return pb.WatchServicesRequest(name=name)

        async for message in self._wire.stream(self._stub.WatchServices, request, again=True):
            change = convert.change(message)
            if change.service is not None:
                into = fresh if syncing else known
                if change.deleted:
                    into.pop(change.service.name, None)
                else:
                    into[change.service.name] = change.service
            elif change.synced:
                for gone in known.keys() - fresh.keys():
                    yield ServiceChange(known[gone], deleted=True)
                known, syncing = dict(fresh), False
            yield change
