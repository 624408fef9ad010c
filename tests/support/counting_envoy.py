"""An Envoy of a test's own: it counts as Envoy does, and says so in Envoy's words."""

from collections import defaultdict
from collections.abc import Iterable

from easel.envoy.v1 import envoy_metrics_pb2 as pb
from services.metrics.latency import BOUNDS_MS

_CLASS_OF = {2: "upstream_rq_2xx", 3: "upstream_rq_3xx", 4: "upstream_rq_4xx", 5: "upstream_rq_5xx"}


class CountingEnvoy:
    """Counts from nothing when it is made; `uptime` says for how long it runs by now."""

    def __init__(self, gateway: str = "gateway", word: str = "") -> None:
        self.node, self.word = f"{gateway}-envoy", word
        self.uptime = 0.0
        self.counters: dict[str, int] = defaultdict(int)
        self.gauges: dict[str, float] = {}
        self._durations: dict[str, list[float]] = defaultdict(list)

    def serve(self, cluster: str, status: int = 200, times: int = 1, ms: float = 5.0) -> None:
        """Has so many requests answered by `cluster`, "service/version"."""
        for name in ("upstream_rq_total", "upstream_rq_completed", _CLASS_OF[status // 100]):
            self.counters[f"cluster.{cluster}.{name}"] += times
        self.counters[f"cluster.{cluster}.upstream_cx_tx_bytes_total"] += 100 * times
        self.counters[f"cluster.{cluster}.upstream_cx_rx_bytes_total"] += 1_000 * times
        self.counters["http.easel.downstream_rq_total"] += times
        self._durations[f"cluster.{cluster}.upstream_rq_time"] += [ms] * times

    def drop(self, cluster: str) -> None:
        """Forgets a cluster: should it come again, it is counted from nothing."""
        for numbers in (self.counters, self.gauges, self._durations):
            for name in [each for each in numbers if each.startswith(f"cluster.{cluster}.")]:
                del numbers[name]

    def change(self, cluster: str) -> None:
        """Is told another bound of a cluster: what it makes as it first needs it is counted from nothing."""
        for what in (*_CLASS_OF.values(), "grpc.success", "grpc.failure"):
            self.counters.pop(f"cluster.{cluster}.{what}", None)

    def families(self) -> list[pb.MetricFamily]:
        """All it counted; durations of the time since this was called last."""
        durations, self._durations = self._durations, defaultdict(list)
        gauges = {**self.gauges, "server.uptime": float(int(self.uptime))}
        return [
            *(_counter(name, value) for name, value in self.counters.items()),
            *(_gauge(name, value) for name, value in gauges.items()),
            *(_histogram(name, values) for name, values in durations.items()),
        ]

    def messages(self, batch: int = 1_000) -> Iterable[pb.StreamMetricsMessage]:
        """The same in parts, as Envoy sends it."""
        families = self.families()
        for begin in range(0, len(families), batch):
            message = pb.StreamMetricsMessage(envoy_metrics=families[begin : begin + batch])
            message.identifier.node.id = self.node
            message.identifier.node.cluster = f"easel/{self.word}" if self.word else "easel"
            yield message


def _counter(name: str, value: float) -> pb.MetricFamily:
    family = pb.MetricFamily(name=name, type=pb.COUNTER)
    family.metric.add().counter.value = value
    return family


def _gauge(name: str, value: float) -> pb.MetricFamily:
    family = pb.MetricFamily(name=name, type=pb.GAUGE)
    family.metric.add().gauge.value = value
    return family


def _histogram(name: str, values: list[float]) -> pb.MetricFamily:
    family = pb.MetricFamily(name=name, type=pb.HISTOGRAM)
    histogram = family.metric.add().histogram
    histogram.sample_count, histogram.sample_sum = len(values), sum(values)
    for bound in BOUNDS_MS:
        below = sum(value <= bound for value in values)
        histogram.bucket.add(upper_bound=bound, cumulative_count=below)
    return family
