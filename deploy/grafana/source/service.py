"""One service: its requests as gateways count them, its instances as agents see them."""

from deploy.grafana.source.board import (
    ORANGE,
    RED,
    Board,
    Query,
    Row,
    Unit,
    Variable,
    graph,
    heat,
    number,
    states,
)

_RATE = "[$__rate_interval]"
_OF = 'service=~"$service"'
_BUCKETS = f"sum by (le) (rate(easel_service_request_duration_seconds_bucket{{{_OF}}}{_RATE}))"


def _rate(metric: str, by: str, legend: str, more: str = "") -> Query:
    return Query(f"sum by ({by}) (rate({metric}{{{_OF}{more}}}{_RATE}))", legend)


def _latest(metric: str, by: str, legend: str) -> Query:
    return Query(f"sum by ({by}) ({metric}{{{_OF}}})", legend)


_GLANCE = Row(
    "At a glance",
    (
        number(
            "Ready",
            "Instances that take traffic.",
            Unit.COUNT,
            f'sum(easel_service_instances{{{_OF}, state="ready"}})',
        ),
        number(
            "Wanted",
            "Instances that there are to be.",
            Unit.COUNT,
            f"sum(max by (service) (easel_service_instances_wanted{{{_OF}}}))",
        ),
        number(
            "Requests",
            "Answered, a second.",
            Unit.REQUESTS,
            f"sum(rate(easel_service_requests_total{{{_OF}}}{_RATE}))",
        ),
        number(
            "Errors",
            "Share of answers with 5xx over five minutes; of several services, the worst.",
            Unit.SHARE,
            f"max(easel:service_errors:ratio5m{{{_OF}}})",
            (0.01, ORANGE),
            (0.05, RED),
        ),
        number(
            "99th percentile",
            "Over five minutes; of several services, the slowest.",
            Unit.SECONDS,
            f"max(easel:service_request_duration_seconds:p99_5m{{{_OF}}})",
        ),
        number(
            "Waiting",
            "Requests that are held until an instance is ready.",
            Unit.COUNT,
            f"sum(easel_service_requests_waiting{{{_OF}}})",
            (1, ORANGE),
        ),
    ),
)
_REQUESTS = Row(
    "Requests",
    (
        graph(
            "By class of status",
            "Answers a second.",
            Unit.REQUESTS,
            _rate("easel_service_requests_total", "code_class", "{{code_class}}"),
            stacked=True,
        ),
        graph(
            "By version",
            "Answers a second. During an update both versions are seen.",
            Unit.REQUESTS,
            _rate("easel_service_requests_total", "service, version", "{{service}} version {{version}}"),
            stacked=True,
        ),
        graph(
            "By gateway",
            "Answers a second, by the gateway that the request came through.",
            Unit.REQUESTS,
            _rate("easel_service_requests_total", "gateway", "{{gateway}}"),
            leads_to="gateway",
        ),
        graph(
            "Latency",
            "From the request to the end of its answer, at the gateway.",
            Unit.SECONDS,
            *(
                Query(f"histogram_quantile({share}, {_BUCKETS})", f"p{share * 100:g}")
                for share in (0.5, 0.9, 0.99)
            ),
            Query(
                f"sum(rate(easel_service_request_duration_seconds_sum{{{_OF}}}{_RATE}))"
                f" / sum(rate(easel_service_request_duration_seconds_count{{{_OF}}}{_RATE}))",
                "mean",
            ),
        ),
        heat("How long answers take", "How many requests took how long.", Unit.SECONDS, _BUCKETS),
        graph(
            "In flight and waiting",
            "What instances are working on, and what is held until there is one.",
            Unit.COUNT,
            _latest("easel_service_requests_in_flight", "service", "{{service}} in flight"),
            _latest("easel_service_requests_waiting", "service", "{{service}} waiting"),
        ),
        graph(
            "Refused",
            "Requests that the gateway refused, by the reason.",
            Unit.REQUESTS,
            _rate("easel_service_requests_refused_total", "reason", "{{reason}}"),
        ),
        graph(
            "Bytes",
            "To instances and from them.",
            Unit.BYTES_A_SECOND,
            _rate("easel_service_request_bytes_total", "service", "{{service}} to"),
            _rate("easel_service_response_bytes_total", "service", "{{service}} from"),
        ),
        graph(
            "gRPC calls",
            "Calls that ended, by outcome.",
            Unit.PER_SECOND,
            _rate("easel_service_grpc_calls_total", "outcome", "{{outcome}}"),
        ),
    ),
)
_INSTANCES = Row(
    "Instances",
    (
        graph(
            "By state",
            "Pending ones have no node yet; troubled ones crash or fail their checks.",
            Unit.COUNT,
            _latest("easel_service_instances", "state", "{{state}}"),
            stacked=True,
            steps=True,
        ),
        graph(
            "By pool",
            "Nodes of one's own, public ones, spot ones.",
            Unit.COUNT,
            _latest("easel_service_instances", "pool", "{{pool}}"),
            stacked=True,
            steps=True,
        ),
        states(
            "State",
            "What the service is doing.",
            Query(f"max by (service, state) (easel_service_state{{{_OF}}}) > 0", "{{service}} {{state}}"),
            ("1", "yes", "blue"),
        ),
        graph(
            "CPU",
            "Cores that each instance uses.",
            Unit.COUNT,
            _rate("easel_instance_cpu_seconds_total", "instance", "{{instance}}"),
            leads_to="instance",
        ),
        graph(
            "Memory",
            "In use by each instance.",
            Unit.BYTES,
            _latest("easel_instance_memory_bytes", "instance", "{{instance}}"),
            leads_to="instance",
        ),
        graph(
            "Connections",
            "Open connections to each instance: how busy it is.",
            Unit.COUNT,
            _latest("easel_instance_connections", "instance", "{{instance}}"),
            leads_to="instance",
        ),
        graph(
            "GPUs",
            "Share of the time in which the GPUs of each instance were busy.",
            Unit.SHARE,
            Query(
                f"avg by (instance) (max by (instance, gpu, node) (easel_gpu_assigned{{{_OF}}})"
                " * on (gpu, node) group_left () max by (gpu, node) (easel_gpu_utilization_ratio))",
                "{{instance}}",
            ),
            most=1,
            leads_to="instance",
        ),
        graph(
            "Starts anew",
            "How often programs were started anew, in five minutes.",
            Unit.COUNT,
            Query(
                f"sum by (instance) (increase(easel_instance_restarts_total{{{_OF}}}[5m]))", "{{instance}}"
            ),
            leads_to="instance",
        ),
        graph(
            "What programs post",
            "The mean over instances.",
            Unit.COUNT,
            Query(f"avg by (name, tags) (easel_custom{{{_OF}}})", "{{name}} {{tags}}"),
        ),
    ),
)

SERVICE = Board(
    "service",
    "Easel / Service",
    "One service, or several: requests, latency, errors, and the instances behind them.",
    (_GLANCE, _REQUESTS, _INSTANCES),
    (Variable("service", "easel_service_instances_wanted"),),
)
