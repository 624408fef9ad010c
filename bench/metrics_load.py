"""What an Envoy and many nodes tell of a large Easel, made once and brought up to date each second."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from easel.common.v1 import common_pb2
from easel.envoy.v1 import envoy_metrics_pb2 as envoy
from easel.facts.v1 import facts_pb2
from easel.metrics.v1 import metrics_pb2 as pb
from services.metrics.latency import BOUNDS_MS

INSTANCES_A_NODE = 20
# What each service is asked for in a second.
_REQUESTS = 10
# Families in one message, as gateways have it.
_BATCH = 1_000
_COUNTERS = (
    "upstream_rq_total",
    "upstream_rq_completed",
    "upstream_rq_2xx",
    "upstream_rq_3xx",
    "upstream_rq_4xx",
    "upstream_rq_5xx",
    "upstream_cx_tx_bytes_total",
    "upstream_cx_rx_bytes_total",
    "upstream_rq_active_overflow",
    "upstream_rq_per_try_timeout",
)
# With the gauges below and the histogram.
_GAUGES = ("upstream_rq_active", "upstream_rq_pending_active", "upstream_cx_active", "membership_total")


@dataclass
class Load:
    """So many services, and as many instances of each as the nodes hold."""

    services: int
    nodes: list[str]
    # What the policy of each service is, where there is one.
    policy: str = ""
    # The first so many services are asked for `times` as much from a second on.
    busy: int = 0
    times: int = 1
    _counted: list[int] = field(default_factory=list)
    _of_node: dict[str, pb.ReportRequest] = field(default_factory=dict)
    _families: list[envoy.MetricFamily] = field(default_factory=list)

    @property
    def instances(self) -> int:
        return len(self.nodes) * INSTANCES_A_NODE

    def facts(self) -> facts_pb2.WatchResponse:
        """Everything there is."""
        told = facts_pb2.WatchResponse(full=True)
        services = [
            told.services.add(
                name=f"service-{n:05}",
                version=1,
                gateway="gateway",
                resources=common_pb2.Resources(cpu_milli=2_000, memory_mib=4_096),
                autoscaler_json=self.policy,
                autoscaler_revision=1 if self.policy else 0,
            )
            for n in range(self.services)
        ]
        for number in range(self.instances):
            service = services[number % self.services]
            node = self.nodes[number // INSTANCES_A_NODE]
            service.wanted += 1
            service.instances.add(id=f"{service.name}-{number:06}", node=node, ready=True, pool="public")
        for name in self.nodes:
            told.nodes.add(name=name, state=common_pb2.NODE_STATE_READY, schedulable=True)
        told.gateways.add(name="gateway", connected=True, envoys=1)
        return told

    def of_envoy(self, second: int) -> Iterator[envoy.StreamMetricsMessage]:
        """What the Envoy has counted by this second, in parts."""
        if not self._families:
            self._families = list(self._of_envoy())
            self._counted = [0] * self.services
        for n in range(self.services):
            self._counted[n] += _REQUESTS * (self.times if n < self.busy else 1)
        for place, family in enumerate(self._families):
            if family.type == envoy.COUNTER:
                family.metric[0].counter.value = self._counted[place // len(_COUNTERS)]
            elif family.name == "server.uptime":
                family.metric[0].gauge.value = second + 1
        for begin in range(0, len(self._families), _BATCH):
            message = envoy.StreamMetricsMessage(envoy_metrics=self._families[begin : begin + _BATCH])
            if begin == 0:
                message.identifier.node.id = "gateway-envoy"
            yield message

    def node(self, name: str, second: int) -> pb.ReportRequest:
        """What a node reports in this second."""
        request = self._of_node.get(name)
        if request is None:
            request = self._of_node[name] = self._of(name)
        request.node.use.cpu_seconds = 10.0 * second
        for use in request.node.instances:
            use.cpu_seconds = 0.5 * second
        return request

    def _of(self, name: str) -> pb.ReportRequest:
        request = pb.ReportRequest()
        request.node.node = name
        request.node.use.cpu_cores = 64
        request.node.use.memory_total_bytes = 1 << 38
        request.node.use.memory_used_bytes = 1 << 36
        first = self.nodes.index(name) * INSTANCES_A_NODE
        for number in range(first, first + INSTANCES_A_NODE):
            service = f"service-{number % self.services:05}"
            use = request.node.instances.add(instance=f"{service}-{number:06}", service=service)
            use.memory_bytes, use.connections = 1 << 31, 3
        return request

    def _of_envoy(self) -> Iterator[envoy.MetricFamily]:
        """In Envoy's order: counters, gauges, histograms."""
        prefixes = [f"cluster.service-{n:05}/1." for n in range(self.services)]
        for name in (prefix + name for prefix in prefixes for name in _COUNTERS):
            family = envoy.MetricFamily(name=name, type=envoy.COUNTER)
            family.metric.add().counter.value = 0
            yield family
        for name in ("server.uptime", *(prefix + name for prefix in prefixes for name in _GAUGES)):
            family = envoy.MetricFamily(name=name, type=envoy.GAUGE)
            family.metric.add().gauge.value = 2
            yield family
        for prefix in prefixes:
            family = envoy.MetricFamily(name=prefix + "upstream_rq_time", type=envoy.HISTOGRAM)
            histogram = family.metric.add().histogram
            histogram.sample_count, histogram.sample_sum = _REQUESTS, 50.0 * _REQUESTS
            for bound in BOUNDS_MS:
                below = round(_REQUESTS * min(1, bound / 100))
                histogram.bucket.add(upper_bound=bound, cumulative_count=below)
            yield family


def a_load(services: int, nodes: int) -> Load:
    """A load of so many services on so many nodes."""
    return Load(services, [f"node-{n:04}" for n in range(nodes)])
