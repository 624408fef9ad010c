"""All that metrics knows: what is written as it arrives, and what queries and Prometheus read.

One event loop writes and reads; nothing here awaits. Times are seconds since the epoch by `steady_time`,
which never goes back; all are times of arrival. SUMs and LEVELs, and how their windows are read: tables.py.

`services`, `gateways` and `latency` are written by the stream of Envoy; `instances`, `nodes`, `gpus` and
`custom` by the telemetry of agents; `components` by the reports of all parts; `facts` by the scheduler's
feed, which also forgets what is removed.
"""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from services.metrics.components import Components
from services.metrics.custom import CustomValues
from services.metrics.durations import Durations
from services.metrics.facts import Facts
from services.metrics.gpus import GpuStates
from services.metrics.latency import Latency
from services.metrics.tables import Column, Table
from services.metrics.totals import Totals

if TYPE_CHECKING:
    from services.metrics.keeping import Kept

_SUM, _LEVEL = Column.SUM, Column.LEVEL
# By name of service; over all gateways and versions. SUMs are spread, so that `newest` has nothing of them.
SERVICE_COLUMNS = {
    "requests": _SUM,  # that were sent to instances, so without refused ones
    "answered": _SUM,  # by instances, or refused
    "status_2xx": _SUM,
    "status_3xx": _SUM,
    "status_4xx": _SUM,  # with those that the gateway refused for a limit
    "status_5xx": _SUM,
    "grpc_failed": _SUM,  # calls that are no 5xx beside
    "refused": _SUM,  # for any reason
    "bytes_in": _SUM,  # bytes, to instances
    "bytes_out": _SUM,  # bytes, from instances
    "in_flight": _LEVEL,
    "waiting": _LEVEL,
}
# By name of gateway, over all its Envoys.
GATEWAY_COLUMNS = {"requests": _SUM, "errors": _SUM, "in_flight": _LEVEL, "connections": _LEVEL}
# By id of instance. Facts.instances says the service and the node of each.
INSTANCE_COLUMNS = {
    "cpu_seconds": _SUM,  # a window of it is cores in use
    "memory_bytes": _LEVEL,
    "connections": _LEVEL,
    "restarts": _LEVEL,
}
# By name of node.
NODE_COLUMNS = {
    "cpu_seconds": _SUM,
    "cpu_cores": _LEVEL,
    "memory_used_bytes": _LEVEL,
    "memory_total_bytes": _LEVEL,
    "disk_used_bytes": _LEVEL,
    "disk_total_bytes": _LEVEL,
    "disk_read_bytes": _SUM,
    "disk_written_bytes": _SUM,
    "network_received_bytes": _SUM,
    "network_sent_bytes": _SUM,
}
# By UUID.
GPU_COLUMNS = {
    "utilization_percent": _LEVEL,
    "memory_used_bytes": _LEVEL,
    "memory_total_bytes": _LEVEL,
    "power_watts": _LEVEL,
    "temperature_celsius": _LEVEL,
    "sm_clock_hertz": _LEVEL,
    "memory_clock_hertz": _LEVEL,
}
# A number that is older is missing.
STALE_AFTER_S = 10.0


def steady_time() -> float:
    """Seconds since the epoch as they were at the start, and from there on without a step of the clock."""
    return _AT_START + time.monotonic()


_AT_START = time.time() - time.monotonic()


class Store:
    """The numbers of one metrics process, all in memory."""

    def __init__(self, now: Callable[[], float] = steady_time) -> None:
        self.now = now
        self.services = Table(SERVICE_COLUMNS)
        self.gateways = Table(GATEWAY_COLUMNS)
        self.instances = Table(INSTANCE_COLUMNS)
        self.nodes = Table(NODE_COLUMNS)
        self.gpus = Table(GPU_COLUMNS)
        # What of a GPU is no number with a window; by UUID.
        self.gpu_states = GpuStates()
        self.custom = CustomValues()
        # Histograms of durations by service; its rows are those of `services`.
        self.latency = Latency()
        self.components = Components()
        self.facts = Facts()
        # Envoys whose streams are open, by name and start: when each was heard of last.
        self.envoys: dict[tuple[str, float], float] = {}
        # What Envoys counted since ever, over their restarts and ours; and of that what is on disk, which is
        # what Prometheus is told.
        self.totals = Totals()
        self.durations = Durations()
        self.published: Kept | None = None
        # CPU time spent on taking reports in, beside those of Envoys.
        self.spent_s = 0.0
        self._at_home: dict[str, list[str]] | None = None
        self.facts.subscribe(self._facts_changed)

    def until(self) -> float:
        """To when the numbers of services and gateways are whole: the end of a window of theirs.

        With one Envoy that is now: its newest message is the newest there is. Of several, each tells its own
        time; what all have told of ends with the last whole second before the earliest newest message.
        """
        now = self.now()
        heard = [at for at in self.envoys.values() if at > now - _AWAITED_S]
        return now if len(heard) < 2 else float(int(min(heard)))

    def services_of(self, gateway: str) -> list[str]:
        """The services that clients reach through this gateway, as far as the scheduler said."""
        if self._at_home is None:
            self._at_home = {}
            for name, service in self.facts.services.items():
                self._at_home.setdefault(service.gateway, []).append(name)
        return self._at_home.get(gateway, [])

    def forget_service(self, name: str) -> None:
        """Drops all numbers of a service."""
        row = self.services.find(name)
        if row is not None:
            self.latency.clear(row)
        self.services.forget(name)
        self.durations.forget(name)
        self.totals.forget(lambda key: key.service == name)

    def forget_gateway(self, name: str) -> None:
        """Drops all numbers of a gateway."""
        self.gateways.forget(name)
        self.totals.forget(lambda key: key.gateway == name)

    def _facts_changed(self) -> None:
        self._at_home = None


# An Envoy that says nothing for longer is not waited for.
_AWAITED_S = 3.0
