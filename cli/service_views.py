"""What a person sees of services and their versions."""

from collections.abc import Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from cli.instance_views import apart_text
from cli.output import Columns
from cli.phases import under_way
from cli.plans import rollout_text
from cli.quantities import share_text
from easel_sdk.types import Instance, SafetyLock, Service, TrafficState
from libs.domain.traffic import SHARED_GATEWAY

if TYPE_CHECKING:
    from cli.commands.versions import Standing

_PUBLIC = "public"


def ready_text(service: Service, instances: Iterable[Instance] = ()) -> str:
    """How many serve of those wanted, and beside them what is not among these."""
    more = service.ready - service.wanted
    beside = [f"{more} more"] if more > 0 else []
    mine = apart_text(each for each in instances if each.service == service.name)
    return ", ".join([f"{min(service.ready, service.wanted)}/{service.wanted}", *beside, *mine])


SERVICES: Columns[Service] = (
    ("NAME", lambda each: each.name),
    ("STATE", lambda each: each.state),
    ("READY", ready_text),
    ("VERSION", lambda each: each.version),
    ("AGE", lambda each: each.created_at),
    ("WHY", lambda each: each.why),
)
VERSIONS: "Columns[Standing]" = (
    ("VERSION", lambda each: each.version.number),
    ("IS", lambda each: each.mark),
    ("AGE", lambda each: each.version.created_at),
    ("WHY", lambda each: each.version.why),
)


def service_columns(services: Sequence[Service], instances: Sequence[Instance] = ()) -> Columns[Service]:
    """The columns for these services: of updates, locks, groups and gateways only where there are some."""
    columns = [
        (title, partial(ready_text, instances=instances) if title == "READY" else value)
        for title, value in SERVICES
    ]
    if any(each.safety_lock is not SafetyLock.NONE for each in services):
        columns.insert(4, ("LOCK", lambda each: each.safety_lock))
    if any(under_way(each.rollout) for each in services):
        columns.insert(4, ("UPDATE", _update))
    if any(each.gateway not in ("", SHARED_GATEWAY) for each in services):
        columns.insert(4, ("GATEWAY", lambda each: each.gateway))
    if any(each.group for each in services):
        columns.insert(4, ("GROUP", _membership))
    if any(each.resource_group != _PUBLIC for each in services):
        columns.insert(4, ("RESOURCE", lambda each: each.resource_group))
    return columns


def _update(service: Service) -> str:
    rollout = under_way(service.rollout)
    return rollout_text(rollout) if rollout else ""


def _membership(service: Service) -> str:
    """The group, and which share of its requests the service takes."""
    if not service.group:
        return ""
    takes = service.traffic_state is TrafficState.GROUPING
    return f"{service.group} {share_text(service.traffic_share) if takes else service.traffic_state}"
