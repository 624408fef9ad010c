"""From messages about numbers and sizes to the library's values, and back. Protos stop here."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from easel.admin.v1 import scaling_pb2 as pb
from easel.autoscaler.v1 import autoscaler_pb2
from easel.common.v1 import common_pb2 as common
from easel.metrics.v1 import metrics_pb2
from easel_sdk import scaling_types as t
from easel_sdk._convert import moment
from libs.domain.records import Resources


def selector_to_proto(selector: t.Selector) -> metrics_pb2.Selector:
    return metrics_pb2.Selector(
        measure=selector.measure,
        kind=selector.kind,
        subjects=selector.subjects,
        of_service=selector.of_service,
        window_s=_seconds(selector.window),
    )


def _seconds(length: timedelta) -> int:
    return max(int(length.total_seconds()), 0)


def range_to_proto(selector: t.Selector, last: timedelta, step: timedelta | None) -> metrics_pb2.RangeRequest:
    return metrics_pb2.RangeRequest(
        selector=selector_to_proto(selector),
        last_s=_seconds(last),
        step_s=_seconds(step) if step is not None else 0,
    )


def values(message: metrics_pb2.InstantResponse) -> t.MetricValues:
    return t.MetricValues(moment(message, "at"), tuple(_value(each) for each in message.values))


def _value(message: metrics_pb2.Value) -> t.MetricValue:
    return t.MetricValue(
        measure=message.measure,
        kind=message.kind,
        subject=message.subject,
        value=message.value,
        window=timedelta(seconds=message.window_s),
        age=timedelta(seconds=message.age_s),
        instances=message.instances,
    )


def series(message: metrics_pb2.Series) -> t.MetricSeries:
    points = (t.MetricPoint(each.at.ToDatetime(tzinfo=UTC), each.value) for each in message.points)
    return t.MetricSeries(message.measure, message.kind, message.subject, tuple(points))


def policy_text(policy: Mapping[str, Any] | str) -> str:
    """A document as it is sent; a text goes as it is."""
    return policy if isinstance(policy, str) else json.dumps(policy)


def _policy(text: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = json.loads(text) if text else {}
    return found


def autoscaler(message: pb.Autoscaler) -> t.Autoscaler:
    return t.Autoscaler(
        service=message.service,
        policy=_policy(message.policy_json),
        created_at=moment(message, "created_at"),
        updated_at=moment(message, "updated_at"),
        revision=message.revision,
        wanted=message.wanted,
        ready=message.ready,
        waiting=message.waiting,
        last=scaling(message.last) if message.HasField("last") else None,
    )


def scaling(message: pb.Scaling) -> t.Scaling:
    return t.Scaling(
        id=message.id,
        at=moment(message, "at"),
        service=message.service,
        before=message.before,
        after=message.after,
        policy=message.policy,
        why=message.why,
        metric=message.metric,
        value=message.value,
        threshold=message.threshold,
    )


def cronscaler(message: pb.Cronscaler) -> t.Cronscaler:
    return t.Cronscaler(
        service=message.service,
        policy=_policy(message.policy_json),
        created_at=moment(message, "created_at"),
        updated_at=moment(message, "updated_at"),
        revision=message.revision,
        jobs=tuple(_job(each) for each in message.jobs),
    )


def _job(message: pb.CronJob) -> t.CronJob:
    return t.CronJob(
        name=message.name,
        schedule=message.schedule,
        target_size=message.target_size,
        time_zone=message.time_zone,
        state=message.state,
        message=message.message,
        last_run_at=moment(message, "last_run_at"),
        next_run_at=moment(message, "next_run_at"),
    )


def load_to_proto(point: t.LoadPoint) -> autoscaler_pb2.LoadPoint:
    made = autoscaler_pb2.LoadPoint(values=point.values)
    made.at.FromDatetime(point.at)
    return made


def replay(message: autoscaler_pb2.ReplayResponse) -> t.Replay:
    steps = (
        t.ReplayStep(moment(each, "at"), each.instances, each.policy, each.why) for each in message.steps
    )
    return t.Replay(
        steps=tuple(steps),
        instance_hours=message.instance_hours,
        seconds_over_target=message.seconds_over_target,
        least_instances=message.least_instances,
        most_instances=message.most_instances,
    )


def _resources(message: common.Resources) -> Resources:
    return Resources(message.cpu_milli, message.memory_mib, message.disk_mib, message.gpus)


def shape_to_proto(shape: t.Shape | None) -> pb.Shape | None:
    if shape is None:
        return None
    asked = shape.resources
    resources = common.Resources(
        cpu_milli=asked.cpu_milli, memory_mib=asked.memory_mib, disk_mib=asked.disk_mib, gpus=asked.gpus
    )
    return pb.Shape(resources=resources, gpu_model=shape.gpu_model, instance_type=shape.instance_type)


def group_capacity(message: pb.GroupCapacity) -> t.GroupCapacity:
    shape = message.shape
    return t.GroupCapacity(
        resource_group=message.resource_group,
        kind=message.kind,
        shape=t.Shape(_resources(shape.resources), shape.gpu_model, shape.instance_type),
        capacity=_resources(message.capacity),
        allocated=_resources(message.allocated),
        nodes=message.nodes,
        fits=message.fits,
        reasons=tuple(message.reasons),
        on=tuple(t.NodeCapacity(each.node, each.fits, each.why) for each in message.on),
        tier=message.tier,
    )


def usage(message: pb.GetUsageResponse, begin: datetime, end: datetime) -> t.Usage:
    return t.Usage(
        begin, end, tuple(_usage_sum(each) for each in message.sums), moment(message, "kept_since")
    )


def _usage_sum(message: pb.UsageSum) -> t.UsageSum:
    return t.UsageSum(
        service=message.service,
        resource_group=message.resource_group,
        instance_type=message.instance_type,
        workspace=message.workspace,
        pool=message.pool,
        instance_ms=message.instance_ms,
        gpu_ms=message.gpu_ms,
        cpu_milli_ms=message.cpu_milli_ms,
        memory_mib_ms=message.memory_mib_ms,
        cost=message.cost,
    )
