"""Groups, releases, ramps, mirrors, and questions about traffic of the in-memory admin API."""

from datetime import UTC, datetime, timedelta

from easel.admin.v1 import admin_pb2 as pb
from easel.admin.v1 import admin_pb2_grpc as rpc
from libs.domain.errors import AlreadyExists, FailedPrecondition, InvalidRequest, NotFound
from tests.support.fake_admin import FakeAdmin, now
from tests.support.fake_admin_pages import Servicer

_NO_MEMBER = "{} is not a member of a group; set metadata.group"


def group_of(fake: FakeAdmin, name: str) -> pb.Group:
    """The group with its members as the services are now; one that a member names is there."""
    members = [each for each in fake.services.values() if each.group == name]
    groups = fake.traffic.groups
    if name not in groups and not (name and members):
        raise NotFound(f"no group named {name!r}")
    group = groups.setdefault(name, pb.Group(name=name, traffic_mode=pb.TRAFFIC_MODE_AUTO, gateway="gateway"))
    group.endpoint = f"{fake.endpoint}/api/predict/{name}"
    by_weight = group.traffic_mode == pb.TRAFFIC_MODE_CUSTOMIZED
    weights = {
        each.name: each.weight if by_weight and each.weight >= 0 else each.ready
        for each in members
        if each.traffic_state == pb.TRAFFIC_STATE_GROUPING
    }
    whole = sum(weights.values()) or 1
    del group.members[:]
    for each in members:
        each.traffic_share = weights.get(each.name, 0) / whole
        group.members.add(
            service=each.name,
            traffic_state=each.traffic_state or pb.TRAFFIC_STATE_STANDALONE,
            weight=each.weight,
            ready=each.ready,
            share=each.traffic_share,
        )
    return group


class Groups(Servicer, rpc.GroupServiceServicer):
    async def CreateGroup(self, request, context):
        if request.name in self.fake.traffic.groups:
            raise AlreadyExists(f"a group named {request.name!r} exists")
        self.fake.traffic.groups[request.name] = pb.Group(
            name=request.name,
            traffic_mode=request.traffic_mode,
            labels=request.labels,
            gateway=request.gateway or "gateway",
            kept=True,
            created_at=now(),
        )
        return pb.CreateGroupResponse(group=group_of(self.fake, request.name))

    async def GetGroup(self, request, context):
        group = group_of(self.fake, request.name)
        if self.fake.traffic.ramp_steps:
            group.ramp.CopyFrom(self.fake.traffic.ramp_steps.pop(0))
        answer = pb.GetGroupResponse(group=group)
        self.fake.answered("GetGroup")
        return answer

    async def ListGroups(self, request, context):
        named = {*self.fake.traffic.groups, *(each.group for each in self.fake.services.values())} - {""}
        found = [group_of(self.fake, name) for name in sorted(named) if request.filter in name]
        kept = [each for each in found if request.labels.items() <= each.labels.items()]
        groups, token = self.page(kept, request)
        return pb.ListGroupsResponse(groups=groups, next_page_token=token)

    async def UpdateGroup(self, request, context):
        group = group_of(self.fake, request.name)
        group.traffic_mode = request.traffic_mode or group.traffic_mode
        for key, value in request.labels.items():
            group.labels[key] = value
        if request.HasField("sticky_header"):
            group.sticky_header = request.sticky_header
        if request.HasField("sticky_cookie"):
            group.sticky_cookie = request.sticky_cookie
        if request.HasField("rules"):
            del group.rules[:]
            group.rules.extend(request.rules.rules)
        return pb.UpdateGroupResponse(group=group_of(self.fake, request.name))

    async def DeleteGroup(self, request, context):
        members = [each.service for each in group_of(self.fake, request.name).members]
        if members and not request.cascade:
            raise FailedPrecondition(f"group {request.name} has members: {', '.join(members)}")
        for name in members:
            self.fake.delete(name)
        del self.fake.traffic.groups[request.name]
        return pb.DeleteGroupResponse(deleted_services=members)

    async def ReleaseService(self, request, context):
        service = self.fake.service(request.name)
        if not service.group:
            raise FailedPrecondition(_NO_MEMBER.format(request.name))
        group = group_of(self.fake, service.group)
        service.traffic_state = request.traffic_state or service.traffic_state
        if request.HasField("weight"):
            service.weight = request.weight
            group.traffic_mode = pb.TRAFFIC_MODE_CUSTOMIZED
        group_of(self.fake, service.group)
        return pb.ReleaseServiceResponse(service=service)

    async def StartRamp(self, request, context):
        service = self.fake.service(request.name)
        if not service.group:
            raise FailedPrecondition(_NO_MEMBER.format(request.name))
        if sorted(set(request.plan.steps)) != list(request.plan.steps):
            raise InvalidRequest("steps", list(request.plan.steps), "growing percents")
        ramp = pb.Ramp(
            service=request.name,
            group=service.group,
            plan=request.plan,
            phase=pb.Ramp.PHASE_RUNNING,
            why="the first step began",
            started_at=now(),
            stepped_at=now(),
        )
        group_of(self.fake, service.group).ramp.CopyFrom(ramp)
        for step in self.fake.traffic.ramp_steps:
            step.started_at.CopyFrom(ramp.started_at)
        return pb.StartRampResponse(ramp=ramp)

    async def EndRamp(self, request, context):
        service = self.fake.service(request.name)
        group = group_of(self.fake, service.group)
        if not group.HasField("ramp") or group.ramp.phase != pb.Ramp.PHASE_RUNNING:
            raise FailedPrecondition(f"no ramp of {request.name} is under way")
        group.ramp.phase = pb.Ramp.PHASE_ENDED
        group.ramp.why = "taken back by admin" if request.back else "ended by admin"
        return pb.EndRampResponse(ramp=group.ramp)


class Traffic(Servicer, rpc.TrafficServiceServicer):
    async def PutMirror(self, request, context):
        self.fake.service(request.service)
        self.fake.traffic.mirrors[request.service] = pb.Mirror(
            service=request.service,
            targets=request.targets,
            ratio=request.ratio,
            compare=request.compare,
            created_at=now(),
            notes=[f"{each} does not exist" for each in request.targets if each not in self.fake.services],
        )
        return pb.PutMirrorResponse(mirror=self.fake.traffic.mirrors[request.service])

    def _mirror(self, service: str) -> pb.Mirror:
        if service not in self.fake.traffic.mirrors:
            raise NotFound(f"service {self.fake.service(service).name} has no mirror")
        return self.fake.traffic.mirrors[service]

    async def GetMirror(self, request, context):
        return pb.GetMirrorResponse(mirror=self._mirror(request.service))

    async def ListMirrors(self, request, context):
        mirrors, token = self.page(list(self.fake.traffic.mirrors.values()), request)
        return pb.ListMirrorsResponse(mirrors=mirrors, next_page_token=token)

    async def DeleteMirror(self, request, context):
        del self.fake.traffic.mirrors[self._mirror(request.service).service]
        return pb.DeleteMirrorResponse()

    async def ExplainRoute(self, request, context):
        self.fake.traffic.explained.append(request)
        return pb.ExplainRouteResponse(explanation=self.fake.traffic.explanation)

    async def GetTraffic(self, request, context):
        """What was prepared for the service, one answer a call; the last one stays."""
        self.fake.service(request.service)
        answers = self.fake.traffic.traffic.get(request.service, [pb.GetTrafficResponse()])
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        self.fake.answered("GetTraffic")
        return answer

    async def CreateWebLink(self, request, context):
        self.fake.service(request.service)
        self.fake.traffic.links.append(request)
        expires = datetime.now(UTC) + (request.valid_for.ToTimedelta() or timedelta(minutes=5))
        url = f"{self.fake.endpoint}/api/predict/{request.service}/?link=signed"
        answer = pb.CreateWebLinkResponse(url=url)
        answer.expires_at.FromDatetime(expires)
        return answer
