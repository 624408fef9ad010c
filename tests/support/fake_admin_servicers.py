"""The wire side of the in-memory admin API: it translates, and pages."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from typing import Any

from easel.admin.v1 import admin_pb2 as pb
from easel.admin.v1 import admin_pb2_grpc as rpc
from easel.common.v1 import common_pb2 as common
from libs.domain.errors import AlreadyExists, FailedPrecondition, NotFound, Unavailable
from tests.support.fake_admin_pages import Servicer


class Services(Servicer, rpc.ServiceServiceServicer):
    async def CreateService(self, request, context):
        self.fake.entering("CreateService")
        service, warnings = self.fake.create(request.spec_json, request.idempotency_key)
        return pb.CreateServiceResponse(service=service, warnings=warnings)

    async def GetService(self, request, context):
        self.fake.entering("GetService")
        answer = pb.GetServiceResponse(service=self.fake.service(request.name))
        self.fake.answered("GetService")
        return answer

    async def ListServices(self, request, context):
        self.fake.entering("ListServices")
        kept = [each for each in self.fake.services.values() if request.filter in each.name]
        services, token = self.page(kept, request)
        return pb.ListServicesResponse(services=services, next_page_token=token)

    async def UpdateService(self, request, context):
        self.fake.entering("UpdateService")
        return pb.UpdateServiceResponse(service=self.fake.update(request))

    async def DeleteService(self, request, context):
        self.fake.delete(request.name)
        return pb.DeleteServiceResponse()

    async def StartService(self, request, context):
        return pb.StartServiceResponse(service=self.fake.scale(request.name, 1))

    async def StopService(self, request, context):
        return pb.StopServiceResponse(service=self.fake.scale(request.name, 0))

    async def RestartService(self, request, context):
        return pb.RestartServiceResponse(service=self.fake.renew(request.name))

    async def ScaleService(self, request, context):
        self.fake.told_to_go = list(request.instances_to_delete)
        self.fake.scaling.refuse_beyond(request.name, request.instances)
        before = self.fake.service(request.name).state
        service = self.fake.scale(request.name, request.instances)
        if before == common.SERVICE_STATE_STOPPED:
            service.state = before
        return pb.ScaleServiceResponse(service=service)

    async def ListServiceVersions(self, request, context):
        self.fake.service(request.name)
        all_versions = [
            pb.ServiceVersion(number=number, spec_json=text, why="written by admin")
            for number, text in enumerate(self.fake.specs[request.name], start=1)
        ]
        versions, token = self.page(all_versions, request)
        return pb.ListServiceVersionsResponse(versions=versions, next_page_token=token)

    async def GetServiceToken(self, request, context):
        self.fake.service(request.name)
        return pb.GetServiceTokenResponse(token=f"token-of-{request.name}")

    async def PlanServiceUpdate(self, request, context):
        update = request.update
        service, after = self.fake.service(update.name), self.fake.after(update)
        before = json.loads(service.spec_json)
        changed = sorted(key for key in before.keys() | after.keys() if before.get(key) != after.get(key))
        changes = [
            pb.Change(
                path=key,
                before=json.dumps(before[key]) if key in before else "",
                after=json.dumps(after[key]) if key in after else "",
            )
            for key in changed
        ]
        return pb.PlanServiceUpdateResponse(
            changes=changes,
            version=update.to_version or service.version + 1,
            rolls=bool(changes),
            steps=["a new instance is started", "an old one is drained"],
        )

    async def CloneService(self, request, context):
        spec = json.loads(self.fake.service(request.name).spec_json)
        change = json.loads(request.spec_json or "{}")
        service, warnings = self.fake.create(json.dumps({**spec, **change, "name": request.new_name}), "")
        return pb.CloneServiceResponse(service=service, warnings=warnings)

    async def SetSafetyLock(self, request, context):
        service = self.fake.service(request.name)
        service.safety_lock = request.safety_lock
        return pb.SetSafetyLockResponse(service=service)

    async def SetServiceLabels(self, request, context):
        service = self.fake.service(request.name)
        set_labels(service, request.labels)
        return pb.SetServiceLabelsResponse(service=service)

    async def SetRolloutPlan(self, request, context):
        service = self.fake.service(request.name)
        service.rollout.plan.CopyFrom(request.plan)
        return pb.SetRolloutPlanResponse(service=service)

    async def ControlRollout(self, request, context):
        service = self.fake.service(request.name)
        if not service.HasField("rollout"):
            raise FailedPrecondition(f"no update of {request.name!r} is under way")
        if request.action == pb.ControlRolloutRequest.ACTION_PAUSE:
            service.rollout.phase = pb.ROLLOUT_PHASE_PAUSED
        elif request.action == pb.ControlRolloutRequest.ACTION_UNDO:
            back = pb.UpdateServiceRequest(name=request.name, to_version=service.rollout.from_version)
            self.fake.update(back)
        else:
            self.fake.roll(request.name)
        return pb.ControlRolloutResponse(service=service)

    async def DiagnoseService(self, request, context):
        self.fake.service(request.name)
        return pb.DiagnoseServiceResponse(findings=self.fake.findings.get(request.name, []))

    async def WatchServices(self, request, context) -> AsyncIterator[pb.WatchServicesResponse]:
        told: dict[str, int] = {}
        first = True
        while True:
            changed = self.fake.change_from_now()
            now = {name: each for name, each in self.fake.services.items() if request.name in ("", name)}
            for name, each in now.items():
                if told.get(name) != each.revision:
                    told[name] = each.revision
                    yield pb.WatchServicesResponse(service=each)
            for name in set(told) - set(now):
                del told[name]
                yield pb.WatchServicesResponse(service=pb.Service(name=name), deleted=True)
            if first:
                yield pb.WatchServicesResponse(synced=True)
            first = False
            if self.fake.watch_breaks > 0:
                self.fake.watch_breaks -= 1
                raise Unavailable("the scheduler is restarting")
            await asyncio.wait_for(changed.wait(), 30)


class Instances(Servicer, rpc.InstanceServiceServicer):
    def _one(self, instance_id: str) -> pb.Instance:
        if instance_id not in self.fake.instances:
            raise NotFound(f"no instance {instance_id!r}")
        return self.fake.instances[instance_id]

    async def ListInstances(self, request, context):
        kept = [
            each
            for each in self.fake.instances.values()
            if request.service in ("", each.service) and request.node in ("", each.node)
        ]
        instances, token = self.page(kept, request)
        return pb.ListInstancesResponse(instances=instances, next_page_token=token)

    async def GetInstance(self, request, context):
        return pb.GetInstanceResponse(instance=self._one(request.id))

    async def DeleteInstance(self, request, context):
        instance = self._one(request.id)
        del self.fake.instances[request.id]
        self.fake.resize(instance.service)
        return pb.DeleteInstanceResponse()

    async def RestartInstance(self, request, context):
        instance = self._one(request.id)
        instance.run += 1
        return pb.RestartInstanceResponse(instance=instance)

    async def IsolateInstance(self, request, context):
        instance = self._one(request.id)
        instance.isolated = request.isolated
        return pb.IsolateInstanceResponse(instance=instance)

    async def DetachInstance(self, request, context):
        instance = self._one(request.id)
        instance.detached = True
        return pb.DetachInstanceResponse(instance=instance)

    async def DiagnoseInstance(self, request, context):
        self._one(request.id)
        return pb.DiagnoseInstanceResponse(findings=self.fake.findings.get(request.id, []))

    async def StreamInstanceLogs(self, request, context) -> AsyncIterator[pb.StreamInstanceLogsResponse]:
        self._one(request.id)
        for line in self.fake.logs.get(request.id, [])[-(request.tail or 100) :]:
            yield pb.StreamInstanceLogsResponse(text=line)
        self.fake.answered("StreamInstanceLogs")


class Nodes(Servicer, rpc.NodeServiceServicer):
    async def ListNodes(self, request, context):
        kept = [
            each for each in self.fake.nodes.values() if request.resource_group in ("", each.resource_group)
        ]
        nodes, token = self.page(kept, request)
        return pb.ListNodesResponse(nodes=nodes, next_page_token=token)

    async def GetNode(self, request, context):
        return pb.GetNodeResponse(node=self.fake.node(request.name))

    async def UpdateNode(self, request, context):
        node = self.fake.node(request.name)
        if request.HasField("resource_group"):
            node.resource_group = self.fake.group(request.resource_group).name
        set_labels(node, request.labels)
        return pb.UpdateNodeResponse(node=node)

    async def DeleteNode(self, request, context):
        self.fake.delete_node(request.name)
        return pb.DeleteNodeResponse()

    async def CordonNode(self, request, context):
        node = self.fake.node(request.name)
        node.schedulable, node.why = False, request.why or "cordoned by admin"
        return pb.CordonNodeResponse(node=node)

    async def UncordonNode(self, request, context):
        node = self.fake.node(request.name)
        node.schedulable, node.why = True, ""
        return pb.UncordonNodeResponse(node=node)

    async def DrainNode(self, request, context):
        node = self.fake.node(request.name)
        node.schedulable, node.draining, node.why = False, True, request.why or "drained by admin"
        moving = sum(each.node == node.name for each in self.fake.instances.values())
        return pb.DrainNodeResponse(node=node, moving=moving)

    async def ReclaimNode(self, request, context):
        node = self.fake.node(request.name)
        if request.cancel:
            node.ClearField("reclaim_at")
        elif node.spot and not request.force:
            raise FailedPrecondition(f"an instance on node {node.name!r} is protected; force it")
        else:
            node.reclaim_at.FromDatetime(datetime.now(UTC) + request.notice.ToTimedelta())
            node.reclaim_why = request.why
        moving, room, hurried = self.fake.leaving
        return pb.ReclaimNodeResponse(node=node, moving=moving, room=room, hurried=hurried)

    def _fenced(self, request: Any, why: str) -> pb.Node:
        node = self.fake.node(request.node)
        for gpu in node.gpus:
            if gpu.uuid == request.uuid:
                gpu.fenced, gpu.why = bool(why), why
                return node
        raise NotFound(f"node {request.node!r} has no GPU {request.uuid!r}")

    async def FenceGpu(self, request, context):
        return pb.FenceGpuResponse(node=self._fenced(request, request.why or "fenced by admin"))

    async def LiftGpuFence(self, request, context):
        return pb.LiftGpuFenceResponse(node=self._fenced(request, ""))

    async def ListResourceGroups(self, request, context):
        groups, token = self.page(list(self.fake.groups.values()), request)
        return pb.ListResourceGroupsResponse(resource_groups=groups, next_page_token=token)

    async def GetResourceGroup(self, request, context):
        return pb.GetResourceGroupResponse(resource_group=self.fake.group(request.name))

    async def CreateResourceGroup(self, request, context):
        if request.name in self.fake.groups:
            raise AlreadyExists(f"a resource group named {request.name!r} exists")
        self.fake.groups[request.name] = pb.ResourceGroup(name=request.name, kind=request.kind)
        return pb.CreateResourceGroupResponse(resource_group=self.fake.groups[request.name])

    async def UpdateResourceGroup(self, request, context):
        group = self.fake.group(request.name)
        group.kind = request.kind
        return pb.UpdateResourceGroupResponse(resource_group=group)

    async def DeleteResourceGroup(self, request, context):
        group = self.fake.group(request.name)
        if any(each.resource_group == group.name for each in self.fake.nodes.values()):
            raise FailedPrecondition(f"resource group {group.name} still has nodes; move them first")
        del self.fake.groups[request.name]
        return pb.DeleteResourceGroupResponse()


class Events(Servicer, rpc.EventServiceServicer):
    def _kept(self, request: Any) -> list[common.Event]:
        return [
            each
            for each in self.fake.events
            if request.service in ("", each.service) and request.subject in ("", each.subject)
        ]

    async def ListEvents(self, request, context):
        events, token = self.page(self._kept(request)[::-1], request)
        return pb.ListEventsResponse(events=events, next_page_token=token)

    async def WatchEvents(self, request, context) -> AsyncIterator[pb.WatchEventsResponse]:
        last = request.after_id or len(self.fake.events)
        while True:
            changed = self.fake.change_from_now()
            for event in [each for each in self._kept(request) if each.id > last]:
                last = event.id
                yield pb.WatchEventsResponse(event=event)
            await asyncio.wait_for(changed.wait(), 30)


class Tokens(Servicer, rpc.TokenServiceServicer):
    async def CreateToken(self, request, context):
        token = pb.Token(id=f"tok-{len(self.fake.tokens) + 1}", name=request.name, role=request.role)
        self.fake.tokens[token.id] = token
        return pb.CreateTokenResponse(token=token, secret=f"secret-of-{request.name}")

    async def ListTokens(self, request, context):
        tokens, token = self.page(list(self.fake.tokens.values()), request)
        return pb.ListTokensResponse(tokens=tokens, next_page_token=token)

    async def DeleteToken(self, request, context):
        if request.id not in self.fake.tokens:
            raise NotFound(f"no token {request.id!r}")
        del self.fake.tokens[request.id]
        return pb.DeleteTokenResponse()


def set_labels(thing: Any, labels: Mapping[str, str]) -> None:
    for key, value in labels.items():
        if value:
            thing.labels[key] = value
        else:
            thing.labels.pop(key, None)
