"""Which services somebody asks numbers of, and what the gateways have said of them so far."""

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from easel.common.v1 import common_pb2
from easel.gateway.v1 import gateway_pb2
from services.scheduler.traffic.totals import Totals, totals_of

# How often a gateway that is asked says its numbers.
EVERY = timedelta(seconds=2)

Counted = common_pb2.ServiceTraffic

_LONG_AGO = datetime.min.replace(tzinfo=UTC)
_COUNTS = tuple(
    each.name for each in Counted.DESCRIPTOR.fields if each.name not in ("service", "version", "latency")
)


@dataclass
class _Source:
    """One connection of a gateway: what it was asked for, and its newest numbers of each service."""

    name: str
    asked: frozenset[str] = frozenset()
    at: dict[str, datetime] = field(default_factory=dict)
    counted: dict[str, dict[int, Counted]] = field(default_factory=dict)
    why: str = ""


class Traffic:
    """Gateways are asked for numbers only while somebody watches.

    Totals count from when a service was first watched, over all gateways and versions, and never fall: an
    Envoy that counts from nothing again only adds.
    """

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._wanted: dict[str, frozenset[str]] = {}
        self._watchers: dict[str, int] = {}
        self._sources: dict[Hashable, _Source] = {}
        self._asked_of: dict[str, set[Hashable]] = {}
        self._totals: dict[str, Totals] = {}
        self._listeners: list[Callable[[frozenset[str]], None]] = []
        self._report_listeners: list[Callable[[], None]] = []

    # --- for those who want numbers

    def watch(self, who: str, services: Iterable[str]) -> None:
        """Sets what `who` wants numbers of; nothing ends it."""
        before, after = self._wanted.get(who, frozenset()), frozenset(services)
        if after:
            self._wanted[who] = after
        else:
            self._wanted.pop(who, None)
        changed = {s for s in after - before if self._count(s, 1) == 1}
        changed |= {s for s in before - after if self._count(s, -1) == 0}
        for service in changed - self._watchers.keys():
            self._totals.pop(service, None)
        if changed:
            for listener in tuple(self._listeners):
                listener(frozenset(changed))

    def totals(self, service: str) -> Totals | None:
        """None while a gateway of the service has yet to say its first numbers; `at` is when the one that was
        silent for longest spoke."""
        asked = self._asked_of.get(service, ())
        spoken = [self._sources[key].at.get(service) for key in asked]
        known = self._totals.get(service)
        if known is None or not spoken or None in spoken:
            return None
        oldest = min(at for at in spoken if at is not None)
        return Totals(oldest, known.requests, known.errors, known.latency)

    def by_version(self, service: str) -> list[Counted]:
        """What the connected gateways last said, summed up by version."""
        versions: dict[int, list[Counted]] = {}
        for key in self._asked_of.get(service, ()):
            for number, counted in self._sources[key].counted.get(service, {}).items():
                versions.setdefault(number, []).append(counted)
        return [summed(versions[number]) for number in sorted(versions)]

    def spoke(self, key: Hashable, service: str, since: datetime) -> bool:
        """Whether a connection has said its numbers of a service since then."""
        source = self._sources.get(key)
        return source is not None and source.at.get(service, _LONG_AGO) >= since

    def why_not(self, key: Hashable) -> str:
        """Why a connection has no numbers; empty where it has not said so."""
        source = self._sources.get(key)
        return source.why if source is not None else ""

    def on_report(self, listener: Callable[[], None]) -> Callable[[], None]:
        """`listener` is told of each report. Call the result to leave."""
        self._report_listeners.append(listener)
        return lambda: self._report_listeners.remove(listener)

    # --- for the connections of gateways

    def on_watched(self, listener: Callable[[frozenset[str]], None]) -> Callable[[], None]:
        """`listener` is told which services began or ceased to be watched. Call the result to leave."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    @property
    def watched(self) -> frozenset[str]:
        """All services that somebody wants numbers of."""
        return frozenset(self._watchers)

    def asked(self, key: Hashable, name: str, services: frozenset[str]) -> None:
        """A connection is asked for these services from now on."""
        source = self._sources.setdefault(key, _Source(name))
        for service in source.asked - services:
            self._asked_of[service].discard(key)
            source.at.pop(service, None)
            source.counted.pop(service, None)
        for service in services - source.asked:
            self._asked_of.setdefault(service, set()).add(key)
        for service in source.asked - services:
            if not self._asked_of[service]:
                del self._asked_of[service]
        source.asked = services

    def reported(self, key: Hashable, report: gateway_pb2.TrafficReport) -> None:
        """Takes over what a connection has counted; one that says why not has counted nothing new."""
        source = self._sources.get(key)
        if source is None:
            return
        source.why = report.why
        if not report.why:
            said: dict[str, dict[int, Counted]] = {}
            for counted in report.services:
                said.setdefault(counted.service, {})[counted.version] = counted
            for service in source.asked:
                self._take(source, service, said.get(service, {}))
        for listener in tuple(self._report_listeners):
            listener()

    def left(self, key: Hashable) -> None:
        """A connection is over; what it has counted stays in the totals."""
        if key in self._sources:
            self.asked(key, "", frozenset())
            del self._sources[key]

    def _take(self, source: _Source, service: str, now_said: Mapping[int, Counted]) -> None:
        now = self._clock()
        first = service not in source.at
        before = source.counted.get(service, {})
        known = self._totals.get(service, Totals(now))
        if first:
            # What it had counted before it was asked is no part of the totals.
            known = known.plus(Totals(now))
        else:
            for version, counted in now_said.items():
                known = known.plus(_grown(before.get(version), counted, now))
        self._totals[service] = known
        source.at[service] = now
        source.counted[service] = {**before, **now_said}

    def _count(self, service: str, by: int) -> int:
        now = self._watchers.get(service, 0) + by
        if now:
            self._watchers[service] = now
        else:
            self._watchers.pop(service, None)
        return now


def summed(counted: Iterable[Counted]) -> Counted:
    """The counts of one version at several gateways, as one."""
    whole = Counted()
    latency: dict[float, int] = {}
    for each in counted:
        whole.service, whole.version = each.service, each.version
        for name in _COUNTS:
            setattr(whole, name, getattr(whole, name) + getattr(each, name))
        for bucket in each.latency:
            latency[bucket.upper_ms] = latency.get(bucket.upper_ms, 0) + bucket.count
    for upper in sorted(latency):
        whole.latency.add(upper_ms=upper, count=latency[upper])
    return whole


def _grown(before: Counted | None, now_said: Counted, at: datetime) -> Totals:
    """What was counted since `before`; all of it when it was counted from nothing again.

    Errors and latencies are counted from nothing also where requests go on: when Envoy is told another bound.
    """
    whole = totals_of([now_said], at)
    if before is None or now_said.requests < before.requests:
        return whole
    earlier = totals_of([before], at)
    if whole.errors < earlier.errors:
        earlier = replace(earlier, errors=0)
    if sum(whole.latency.values()) < sum(earlier.latency.values()):
        earlier = replace(earlier, latency={})
    return whole.since(earlier)
