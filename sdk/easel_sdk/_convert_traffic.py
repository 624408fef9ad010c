"""Between the admin API's messages on traffic and the library's values. Protos stop here."""

import math
from collections.abc import Iterable
from datetime import timedelta
from enum import StrEnum
from typing import Any

from google.protobuf.duration_pb2 import Duration

from easel.admin.v1 import admin_pb2 as pb
from easel.common.v1 import common_pb2 as common
from easel_sdk import traffic_types as t
from easel_sdk._convert import moment, state_of
from easel_sdk.errors import InvalidRequest


def length_to_proto(length: timedelta | None) -> Duration | None:
    if length is None:
        return None
    made = Duration()
    made.FromTimedelta(length)
    return made


def mode_to_proto(mode: str | None) -> "pb.TrafficMode.ValueType":
    """Unspecified for None. Raises `InvalidRequest` for a word that is none."""
    if mode is None:
        return pb.TRAFFIC_MODE_UNSPECIFIED
    return pb.TrafficMode.Value(f"TRAFFIC_MODE_{_one_of(t.TrafficMode, 'traffic_mode', mode)}")


def traffic_state_to_proto(state: str | None) -> "pb.TrafficState.ValueType":
    """Unspecified for None. Raises `InvalidRequest` for a word that is none."""
    if state is None:
        return pb.TRAFFIC_STATE_UNSPECIFIED
    return pb.TrafficState.Value(f"TRAFFIC_STATE_{_one_of(t.TrafficState, 'traffic_state', state)}")


def _one_of(words: type[StrEnum], field: str, word: str) -> str:
    if word not in list(words):
        raise InvalidRequest(field, word, " or ".join(words))
    return words(word).name


def rules_to_proto(rules: Iterable[t.MemberRule] | None) -> pb.MemberRules | None:
    if rules is None:
        return None
    made = (pb.MemberRule(service=r.service, header=r.header, cookie=r.cookie, value=r.value) for r in rules)
    return pb.MemberRules(rules=made)


def group(message: pb.Group) -> t.Group:
    members = (
        t.GroupMember(
            service=each.service,
            traffic_state=state_of(t.TrafficState, pb.TrafficState, each.traffic_state, "TRAFFIC_STATE_"),
            weight=each.weight,
            ready=each.ready,
            share=each.share,
        )
        for each in message.members
    )
    return t.Group(
        name=message.name,
        traffic_mode=state_of(t.TrafficMode, pb.TrafficMode, message.traffic_mode, "TRAFFIC_MODE_"),
        members=tuple(members),
        endpoint=message.endpoint,
        labels=dict(message.labels),
        kept=message.kept,
        gateway=message.gateway,
        sticky_header=message.sticky_header,
        sticky_cookie=message.sticky_cookie,
        rules=tuple(t.MemberRule(r.service, r.header, r.cookie, r.value) for r in message.rules),
        created_at=moment(message, "created_at"),
        updated_at=moment(message, "updated_at"),
        ramp=ramp(message.ramp) if message.HasField("ramp") else None,
    )


def ramp(message: pb.Ramp) -> t.Ramp:
    return t.Ramp(
        service=message.service,
        group=message.group,
        plan=_ramp_plan(message.plan),
        phase=state_of(t.RampPhase, pb.Ramp.Phase, message.phase, "PHASE_"),
        why=message.why,
        step=message.step,
        stepped_at=moment(message, "stepped_at"),
        started_at=moment(message, "started_at"),
        finished_at=moment(message, "finished_at"),
    )


def _ramp_plan(message: pb.RampPlan) -> t.RampPlan:
    return t.RampPlan(
        steps=tuple(message.steps),
        every=message.every.ToTimedelta(),
        max_error_rate=message.max_error_rate if message.HasField("max_error_rate") else None,
        max_p99_increase=message.max_p99_increase if message.HasField("max_p99_increase") else None,
        min_requests=message.min_requests,
    )


def ramp_plan_to_proto(plan: t.RampPlan) -> pb.RampPlan:
    return pb.RampPlan(
        steps=plan.steps,
        every=length_to_proto(plan.every),
        max_error_rate=plan.max_error_rate,
        max_p99_increase=plan.max_p99_increase,
        min_requests=plan.min_requests,
    )


def mirror(message: pb.Mirror) -> t.Mirror:
    return t.Mirror(
        service=message.service,
        targets=tuple(message.targets),
        ratio=message.ratio,
        compare=message.compare,
        created_at=moment(message, "created_at"),
        updated_at=moment(message, "updated_at"),
        comparisons=tuple(_comparison(each) for each in message.comparisons),
        notes=tuple(message.notes),
    )


def _comparison(message: common.Comparison) -> t.Comparison:
    return t.Comparison(
        service=message.service,
        target=message.target,
        pairs=message.pairs,
        same_status=message.same_status,
        same_body=message.same_body,
        unanswered=message.unanswered,
        latency_difference_p50_ms=message.latency_difference_p50_ms,
        latency_difference_p99_ms=message.latency_difference_p99_ms,
        differing=tuple(_pair(each) for each in message.differing),
        since=moment(message, "since"),
    )


def _pair(message: common.ComparedPair) -> t.ComparedPair:
    return t.ComparedPair(
        at=moment(message, "at"),
        method=message.method,
        path=message.path,
        status=message.status,
        target_status=message.target_status,
        latency_ms=message.latency_ms,
        target_latency_ms=message.target_latency_ms,
        differences=tuple(message.differences),
    )


def explanation(message: common.RouteExplanation) -> t.RouteExplanation:
    return t.RouteExplanation(
        gateway=message.gateway,
        generation=message.generation,
        envoys=message.envoys,
        status=message.status,
        why=message.why,
        steps=tuple(message.steps),
        group=message.group,
        service=message.service,
        token=message.token,
        targets=tuple(
            t.RouteTarget(each.service, each.version, each.share, tuple(each.endpoints))
            for each in message.targets
        ),
        limits=tuple(message.limits),
        mirrors=tuple(message.mirrors),
        path=message.path,
    )


def traffic(message: pb.GetTrafficResponse) -> t.Traffic:
    return t.Traffic(tuple(_service_traffic(each) for each in message.versions), tuple(message.notes))


def _service_traffic(message: common.ServiceTraffic) -> t.ServiceTraffic:
    return t.ServiceTraffic(
        service=message.service,
        version=message.version,
        requests=message.requests,
        status_2xx=message.status_2xx,
        status_4xx=message.status_4xx,
        status_5xx=message.status_5xx,
        in_flight=message.in_flight,
        rate_limited=message.rate_limited,
        overflowed=message.overflowed,
        timed_out=message.timed_out,
        grpc_ok=message.grpc_ok,
        grpc_failed=message.grpc_failed,
        latency=tuple(
            t.LatencyBucket(each.upper_ms if math.isfinite(each.upper_ms) else None, each.count)
            for each in message.latency
        ),
    )


def access_token(message: pb.AccessToken) -> t.AccessToken:
    return t.AccessToken(
        id=message.id,
        service=message.service,
        group=message.group,
        name=message.name,
        created_at=moment(message, "created_at"),
        expires_at=moment(message, "expires_at"),
        last_used_at=moment(message, "last_used_at"),
    )


def gateway(message: pb.Gateway) -> t.Gateway:
    return t.Gateway(
        name=message.name,
        shared=message.shared,
        host=message.host,
        port=message.port,
        tls_port=message.tls_port,
        workers=message.workers,
        public_url=message.public_url,
        domains=tuple(
            t.GatewayDomain(each.name, each.secret, each.certificate_file, each.key_file)
            for each in message.domains
        ),
        redirect_https=message.redirect_https,
        allow=tuple(message.allow),
        deny=tuple(message.deny),
        body_limit_bytes=message.body_limit_bytes,
        keepalive=timedelta(milliseconds=message.keepalive_ms),
        max_connections=message.max_connections,
        upstream_tls_secret=message.upstream_tls_secret,
        created_at=moment(message, "created_at"),
        updated_at=moment(message, "updated_at"),
        connected=message.connected,
        envoys=message.envoys,
        why=message.why,
        services=message.services,
        certificates=tuple(
            t.CertificateStatus(each.domain, moment(each, "not_after"), each.why)
            for each in message.certificates
        ),
        node=message.node,
    )


def gateway_to_proto(name: str, settings: t.GatewaySettings) -> tuple[pb.Gateway, list[str]]:
    """The message with these settings, and which of its fields they are."""
    values: dict[str, Any] = dict(settings)
    if "keepalive" in settings:
        del values["keepalive"]
        values["keepalive_ms"] = round(settings["keepalive"].total_seconds() * 1000)
    if "domains" in settings:
        values["domains"] = [
            pb.GatewayDomain(
                name=each.name,
                secret=each.secret,
                certificate_file=each.certificate_file,
                key_file=each.key_file,
            )
            for each in settings["domains"]
        ]
    return pb.Gateway(name=name, **values), sorted(values)


def registry(message: pb.Registry) -> t.Registry:
    return t.Registry(
        id=message.id,
        kind=message.kind,
        url=message.url,
        namespace=message.namespace,
        group=message.group,
        secret=message.secret,
        created_at=moment(message, "created_at"),
        used_by=tuple(message.used_by),
    )
