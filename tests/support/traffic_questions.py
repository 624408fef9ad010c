"""Asking a gateway under test what its Envoy counted, as a scheduler does."""

from collections import Counter
from collections.abc import Callable

from easel.common.v1 import common_pb2
from easel.gateway.v1 import gateway_pb2 as pb
from services.gateway.envoy.admin import EnvoyAdmin
from services.gateway.runtime import admin_address
from services.gateway.statistics.envoy_stats import EnvoyStatistics
from tests.support.gateway_harness import Harness
from tests.support.waiting import until


async def counted(
    gateway: Harness, service: str, enough: Callable[[common_pb2.ServiceTraffic], bool]
) -> common_pb2.ServiceTraffic:
    """The versions of a service together, as soon as a report says `enough`. Ends the reports."""
    reports = gateway.scheduler.heard.setdefault("traffic", [])
    reports.clear()
    gateway.scheduler.ask(pb.ConnectResponse(watch_traffic=pb.WatchTraffic(services=[service], every_ms=500)))
    try:
        await until(lambda: reports and enough(_together(reports[-1])), f"numbers of {service}")
        return _together(reports[-1])
    finally:
        gateway.scheduler.ask(pb.ConnectResponse(watch_traffic=pb.WatchTraffic()))


async def refusals(gateway: Harness, of: str) -> Counter[str]:
    """How often the gateway refused, by one of its labels such as "status"."""
    found = Counter[str]()
    for each in await EnvoyStatistics(EnvoyAdmin(admin_address(gateway.settings))).read("^easel.refused"):
        found[each.labels[of]] += int(each.value)
    return found


def _together(report: pb.TrafficReport) -> common_pb2.ServiceTraffic:
    assert report.why == ""
    whole = common_pb2.ServiceTraffic()
    for each in report.services:
        for field, value in each.ListFields():
            if field.name not in ("service", "version", "latency"):
                setattr(whole, field.name, getattr(whole, field.name) + value)
        if each.latency:
            whole.latency.extend(each.latency)
    return whole
