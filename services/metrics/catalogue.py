"""Every metric that Prometheus is told of: its stable name, with the unit in it, its type and its labels.

docs/METRICS.md shows this table. A name that is not here is not exposed.
"""

from dataclasses import dataclass
from enum import StrEnum


class Type(StrEnum):
    """The types of OpenMetrics that are used. The sample of a counter ends in `_total`."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"
    INFO = "info"


@dataclass(frozen=True)
class Metric:
    """One family. `name` is without `_total`, `_bucket` and `_info`."""

    name: str
    type: Type
    labels: tuple[str, ...]
    help: str


_SERVICE = ("service",)
_BY_GATEWAY = ("service", "version", "gateway")
_INSTANCE = ("instance", "service", "node")
_GPU = ("gpu", "index", "model", "node")
_NODE = ("node",)
_GATEWAY = ("gateway",)
_COMPONENT = ("component", "name")
_C, _G, _H, _I = Type.COUNTER, Type.GAUGE, Type.HISTOGRAM, Type.INFO

CATALOGUE: tuple[Metric, ...] = (
    # Services, as the Envoys of gateways count.
    Metric(
        "easel_service",
        _I,
        (*_SERVICE, "version", "group", "resource_group", "workspace"),
        "A service and what it belongs to.",
    ),
    Metric(
        "easel_service_requests",
        _C,
        (*_BY_GATEWAY, "code_class"),
        "Requests that were answered, by class of status (2xx, 3xx, 4xx, 5xx).",
    ),
    Metric(
        "easel_service_request_duration_seconds",
        _H,
        _SERVICE,
        "From the request to the end of its answer, at the gateway.",
    ),
    Metric("easel_service_requests_in_flight", _G, _BY_GATEWAY, "Requests that instances are working on."),
    Metric(
        "easel_service_requests_refused",
        _C,
        ("service", "gateway", "reason"),
        "Requests that the gateway refused: rate_limit, concurrency, timeout, waiting.",
    ),
    Metric(
        "easel_service_requests_waiting",
        _G,
        _SERVICE,
        "Requests that gateways hold until an instance is ready.",
    ),
    Metric("easel_service_request_bytes", _C, _BY_GATEWAY, "Bytes sent to instances."),
    Metric("easel_service_response_bytes", _C, _BY_GATEWAY, "Bytes received from instances."),
    Metric(
        "easel_service_grpc_calls",
        _C,
        (*_BY_GATEWAY, "outcome"),
        "Calls of gRPC that ended, by outcome: ok, failed.",
    ),
    # Services, as the scheduler knows them.
    Metric(
        "easel_service_instances_wanted",
        _G,
        _SERVICE,
        "Instances that there are to be; 0 while it is stopped.",
    ),
    Metric(
        "easel_service_instances",
        _G,
        (*_SERVICE, "state", "pool"),
        "Instances by state (pending, starting, ready, troubled, leaving) and pool (dedicated, public, spot, "
        "none).",
    ),
    Metric("easel_service_state", _G, (*_SERVICE, "state"), "1 for the state that the service is in."),
    # Instances, as their agents see them.
    Metric("easel_instance_cpu_seconds", _C, _INSTANCE, "CPU time used."),
    Metric(
        "easel_instance_cpu_limit_cores",
        _G,
        _INSTANCE,
        "Cores that its service.json asks for; not there where it names none.",
    ),
    Metric("easel_instance_memory_bytes", _G, _INSTANCE, "Memory in use."),
    Metric(
        "easel_instance_memory_limit_bytes",
        _G,
        _INSTANCE,
        "Memory that its service.json asks for; not there where it names none.",
    ),
    Metric("easel_instance_restarts", _C, _INSTANCE, "How often its program was started anew."),
    Metric("easel_instance_connections", _G, _INSTANCE, "Open connections to its port."),
    Metric("easel_instance_ready", _G, _INSTANCE, "1 while it takes traffic."),
    Metric(
        "easel_instance_start_phase_seconds",
        _G,
        (*_INSTANCE, "phase"),
        "How long each phase of its start took.",
    ),
    Metric(
        "easel_custom",
        _G,
        (*_INSTANCE, "name", "tags"),
        "What programs post; tags as key=value, separated by commas; one within a tag is written \\,.",
    ),
    # GPUs.
    Metric("easel_gpu_utilization_ratio", _G, _GPU, "Share of the time in which a kernel ran, 0 to 1."),
    Metric("easel_gpu_memory_used_bytes", _G, _GPU, "Memory of the GPU in use."),
    Metric("easel_gpu_memory_total_bytes", _G, _GPU, "Memory of the GPU."),
    Metric("easel_gpu_power_watts", _G, _GPU, "Power drawn."),
    Metric("easel_gpu_temperature_celsius", _G, _GPU, "Temperature."),
    Metric("easel_gpu_sm_clock_hertz", _G, _GPU, "Clock of the multiprocessors."),
    Metric("easel_gpu_memory_clock_hertz", _G, _GPU, "Clock of the memory."),
    Metric("easel_gpu_throttled", _G, (*_GPU, "reason"), "1 while clocks are held down for this reason."),
    Metric("easel_gpu_ecc_errors", _C, (*_GPU, "kind"), "Errors of memory, corrected and uncorrected."),
    Metric("easel_gpu_xid_errors", _C, (*_GPU, "xid"), "Errors that the driver names by an XID."),
    Metric("easel_gpu_healthy", _G, _GPU, "1 while it may be used."),
    Metric(
        "easel_gpu_assigned", _G, ("gpu", "node", "instance", "service"), "1 for the instance that has it."
    ),
    # Nodes.
    Metric(
        "easel_node",
        _I,
        (*_NODE, "resource_group", "kind", "instance_type", "spot"),
        "A node and what it belongs to.",
    ),
    Metric("easel_node_ready", _G, _NODE, "1 while its agent is heard of."),
    Metric("easel_node_schedulable", _G, _NODE, "1 while it takes new instances."),
    Metric("easel_node_cpu_seconds", _C, _NODE, "CPU time used by all on the node."),
    Metric("easel_node_cpu_cores", _G, _NODE, "Cores of the node."),
    Metric("easel_node_memory_used_bytes", _G, _NODE, "Memory in use on the node."),
    Metric("easel_node_memory_total_bytes", _G, _NODE, "Memory of the node."),
    Metric("easel_node_disk_used_bytes", _G, _NODE, "In use on the file system of the agent's data."),
    Metric("easel_node_disk_total_bytes", _G, _NODE, "Size of the file system of the agent's data."),
    Metric("easel_node_disk_read_bytes", _C, _NODE, "Read from the node's disks."),
    Metric("easel_node_disk_written_bytes", _C, _NODE, "Written to the node's disks."),
    Metric("easel_node_network_received_bytes", _C, _NODE, "Received by the node."),
    Metric("easel_node_network_sent_bytes", _C, _NODE, "Sent by the node."),
    Metric(
        "easel_node_capacity",
        _G,
        (*_NODE, "resource"),
        "What it offers to instances: cpu_cores, memory_bytes, gpus.",
    ),
    Metric(
        "easel_node_allocated",
        _G,
        (*_NODE, "resource"),
        "What instances on it hold: cpu_cores, memory_bytes, gpus.",
    ),
    Metric("easel_node_fenced_gpus", _G, _NODE, "GPUs that no instance is placed on."),
    # Gateways.
    Metric("easel_gateway_connected", _G, _GATEWAY, "1 while the gateway is connected to the scheduler."),
    Metric("easel_gateway_envoys", _G, _GATEWAY, "Envoys that follow it."),
    Metric(
        "easel_gateway_generations_behind",
        _G,
        _GATEWAY,
        "Generations of routes that its Envoys have not applied yet.",
    ),
    Metric("easel_gateway_requests", _C, _GATEWAY, "Requests that came in, whatever became of them."),
    Metric(
        "easel_gateway_requests_5xx", _C, _GATEWAY, "Answers with status 5xx, of instances or of the gateway."
    ),
    Metric("easel_gateway_requests_in_flight", _G, _GATEWAY, "Requests under way."),
    Metric("easel_gateway_connections", _G, _GATEWAY, "Open connections of clients."),
    Metric(
        "easel_gateway_uptime_seconds", _G, _GATEWAY, "Since when its Envoy runs; of several, the youngest."
    ),
    # Autoscaler.
    Metric(
        "easel_autoscaler_wanted_instances",
        _G,
        (*_SERVICE, "policy"),
        "What the newest decision came to, by the policy that made it.",
    ),
    Metric(
        "easel_autoscaler_metric_value",
        _G,
        (*_SERVICE, "metric"),
        "The metric for each ready instance, as last measured.",
    ),
    Metric("easel_autoscaler_metric_threshold", _G, (*_SERVICE, "metric"), "What it is held to."),
    Metric(
        "easel_autoscaler_metric_missing",
        _G,
        (*_SERVICE, "metric"),
        "1 while the metric is missing or stale; then nothing is scaled in.",
    ),
    Metric(
        "easel_autoscaler_bound_instances", _G, (*_SERVICE, "bound"), "The bounds of its policy: min, max."
    ),
    Metric(
        "easel_autoscaler_decisions",
        _C,
        (*_SERVICE, "policy", "direction"),
        "Changes of size that were applied, up and down.",
    ),
    Metric(
        "easel_autoscaler_last_look_timestamp_seconds",
        _G,
        (),
        "When the autoscaler last looked at every service.",
    ),
    Metric("easel_autoscaler_look_seconds", _G, (), "How long that took."),
    # The control plane itself.
    Metric(
        "easel_component_up",
        _G,
        _COMPONENT,
        "1 while the process reports: scheduler, gateway, agent, autoscaler, metrics.",
    ),
    Metric("easel_component_start_timestamp_seconds", _G, _COMPONENT, "When the process started."),
    Metric("easel_component_cpu_seconds", _C, _COMPONENT, "CPU time of the process."),
    Metric("easel_component_memory_bytes", _G, _COMPONENT, "Resident memory of the process."),
    Metric("easel_component_open_files", _G, _COMPONENT, "Open file descriptors of the process."),
    Metric("easel_scheduler_commits", _C, (), "Transactions of the store."),
    Metric("easel_scheduler_commit_seconds", _C, (), "Time spent in them."),
    Metric("easel_scheduler_commit_failures", _C, (), "Transactions that were refused or not answered."),
    Metric("easel_scheduler_turns", _C, (), "Turns of the reconciler."),
    Metric("easel_scheduler_turn_seconds", _C, (), "Time spent in them."),
    Metric("easel_scheduler_agents", _G, (), "Agents that are connected."),
    Metric("easel_scheduler_pending_instances", _G, (), "Instances that have no node."),
    Metric("easel_metrics_sources", _G, ("kind",), "Streams that are open: envoy, node, component."),
    Metric("easel_metrics_series", _G, (), "Series that are kept."),
    Metric("easel_metrics_facts_connected", _G, (), "1 while the scheduler tells its facts."),
    Metric("easel_metrics_ingest_seconds", _C, (), "CPU time spent on taking numbers in."),
)

BY_NAME = {metric.name: metric for metric in CATALOGUE}
