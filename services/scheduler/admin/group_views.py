"""Groups and ramps between the picture and messages. Pure."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from google.protobuf.duration_pb2 import Duration

from easel.admin.v1 import admin_pb2
from libs.domain.errors import InvalidRequest
from libs.domain.states import RampPhase, TrafficMode, TrafficState
from libs.domain.traffic import Group, MemberRule, Ramp
from libs.rpc.convert import time_to_proto
from services.scheduler.groups.picture import newest_ramp, shares_of
from services.scheduler.groups.rules import GroupChange
from services.scheduler.ramp.begin import MIN_REQUESTS, RampAsked
from services.scheduler.world import World

TRAFFIC_STATES_OUT: dict[TrafficState, Any] = {
    state: getattr(admin_pb2, f"TRAFFIC_STATE_{state.name}") for state in TrafficState
}
_STATES: dict[int, TrafficState] = {number: state for state, number in TRAFFIC_STATES_OUT.items()}
_MODES_OUT: dict[TrafficMode, Any] = {
    mode: getattr(admin_pb2, f"TRAFFIC_MODE_{mode.name}") for mode in TrafficMode
}
_MODES: dict[int, TrafficMode] = {number: mode for mode, number in _MODES_OUT.items()}
_PHASES: dict[RampPhase, Any] = {phase: getattr(admin_pb2.Ramp, f"PHASE_{phase.name}") for phase in RampPhase}
# A day more than any step may take; what is longer is refused by its plan.
_FAR = timedelta(days=31)


def group_view(world: World, group: Group, url: str, said: Callable[[Ramp], str]) -> admin_pb2.Group:
    """`url` is where the group's gateway is reached, `said` the newest sentence about a ramp."""
    members = {member.name: member for member in world.members_of(group.name)}
    ramp = newest_ramp(world, group.name)
    return admin_pb2.Group(
        name=group.name,
        traffic_mode=_MODES_OUT[group.traffic_mode],
        members=[
            admin_pb2.GroupMember(
                service=each.service,
                traffic_state=TRAFFIC_STATES_OUT[members[each.service].traffic_state],
                weight=members[each.service].weight,
                ready=each.ready,
                share=each.share,
            )
            for each in shares_of(world, group)
        ],
        endpoint=f"{url}/api/predict/{group.name}",
        labels=dict(group.labels),
        kept=group.kept,
        gateway=group.gateway,
        sticky_header=group.sticky_header,
        sticky_cookie=group.sticky_cookie,
        rules=[_rule_to_proto(rule) for rule in group.rules],
        created_at=time_to_proto(group.created_at),
        updated_at=time_to_proto(group.updated_at),
        ramp=ramp_to_proto(ramp, said(ramp)) if ramp is not None else None,
    )


def ramp_to_proto(ramp: Ramp, why: str) -> admin_pb2.Ramp:
    return admin_pb2.Ramp(
        service=ramp.service,
        group=ramp.group,
        plan=admin_pb2.RampPlan(
            steps=ramp.steps,
            every=Duration(seconds=ramp.every_s),
            max_error_rate=ramp.max_error_rate,
            max_p99_increase=ramp.max_p99_increase,
            min_requests=ramp.min_requests,
        ),
        phase=_PHASES[ramp.phase],
        why=why,
        step=ramp.step,
        stepped_at=time_to_proto(ramp.stepped_at),
        started_at=time_to_proto(ramp.started_at),
        finished_at=time_to_proto(ramp.finished_at),
    )


def ramp_from_proto(plan: admin_pb2.RampPlan) -> RampAsked:
    """Raises InvalidRequest."""
    every = plan.every.seconds
    if plan.every.nanos or not 0 <= every <= _FAR.total_seconds():
        shown = f"{every + plan.every.nanos / 1e9:g} s"
        raise InvalidRequest("plan.every", shown, "whole seconds, 30 days at most")
    return RampAsked(
        steps=tuple(plan.steps),
        every_s=every,
        max_error_rate=plan.max_error_rate if plan.HasField("max_error_rate") else None,
        max_p99_increase=plan.max_p99_increase if plan.HasField("max_p99_increase") else None,
        min_requests=plan.min_requests or MIN_REQUESTS,
    )


def change_from_proto(request: admin_pb2.UpdateGroupRequest) -> GroupChange:
    """Raises InvalidRequest."""
    rules = tuple(MemberRule(r.service, r.header, r.cookie, r.value) for r in request.rules.rules)
    return GroupChange(
        traffic_mode=mode_from_proto(request.traffic_mode),
        labels=dict(request.labels),
        sticky_header=request.sticky_header if request.HasField("sticky_header") else None,
        sticky_cookie=request.sticky_cookie if request.HasField("sticky_cookie") else None,
        rules=rules if request.HasField("rules") else None,
    )


def mode_from_proto(mode: int) -> TrafficMode | None:
    """None where none is named. Raises InvalidRequest."""
    if mode and mode not in _MODES:
        raise InvalidRequest("traffic_mode", mode, "auto or customized")
    return _MODES.get(mode)


def state_from_proto(state: int) -> TrafficState | None:
    """None where none is named. Raises InvalidRequest."""
    if state and state not in _STATES:
        raise InvalidRequest("traffic_state", state, "standalone or grouping")
    return _STATES.get(state)


def _rule_to_proto(rule: MemberRule) -> admin_pb2.MemberRule:
    return admin_pb2.MemberRule(
        service=rule.service, header=rule.header, cookie=rule.cookie, value=rule.value
    )
