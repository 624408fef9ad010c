"""The whole of Easel at a glance: what is asked, what is answered, what there is to answer with."""

from deploy.grafana.source.board import ORANGE, RED, Board, Query, Row, Unit, bars, graph, number

_RATE = "[$__rate_interval]"
_GLANCE = Row(
    "At a glance",
    (
        number(
            "Services",
            "Services that are wanted.",
            Unit.COUNT,
            "count(max by (service) (easel_service_instances_wanted) > 0)",
        ),
        number(
            "Ready instances",
            "Of all services.",
            Unit.COUNT,
            'sum(easel_service_instances{state="ready"})',
        ),
        number(
            "Missing instances",
            "Wanted and not ready.",
            Unit.COUNT,
            "sum(clamp_min(max by (service) (easel_service_instances_wanted)"
            " - on (service) easel:service_ready_instances, 0))",
            (1, ORANGE),
        ),
        number(
            "Nodes ready",
            "Nodes whose agent is heard of.",
            Unit.COUNT,
            "sum(max by (node) (easel_node_ready))",
        ),
        number(
            "GPUs",
            "GPUs that may be used.",
            Unit.COUNT,
            "sum(max by (gpu, node) (easel_gpu_healthy)) or vector(0)",
        ),
        number(
            "Alerts",
            "Alerts that are firing, by their rules.",
            Unit.COUNT,
            'count(ALERTS{alertstate="firing", alertname=~"Easel.*"}) or vector(0)',
            (1, RED),
        ),
    ),
)
_REQUESTS = Row(
    "Requests",
    (
        graph(
            "Requests",
            "The ten services that are asked most.",
            Unit.REQUESTS,
            Query(f"topk(10, sum by (service) (rate(easel_service_requests_total{_RATE})))", "{{service}}"),
            stacked=True,
            leads_to="service",
        ),
        graph(
            "Errors",
            "Share of answers with 5xx over five minutes.",
            Unit.SHARE,
            Query("topk(10, easel:service_errors:ratio5m)", "{{service}}"),
            limits=((0.05, RED),),
            leads_to="service",
        ),
        graph(
            "99th percentile",
            "The ten slowest services, over five minutes.",
            Unit.SECONDS,
            Query("topk(10, easel:service_request_duration_seconds:p99_5m)", "{{service}}"),
            leads_to="service",
        ),
        graph(
            "In flight",
            "Requests that instances are working on.",
            Unit.COUNT,
            Query("topk(10, sum by (service) (easel_service_requests_in_flight))", "{{service}}"),
            leads_to="service",
        ),
        graph(
            "Refused",
            "Requests that gateways refused, by the reason.",
            Unit.REQUESTS,
            Query(f"sum by (reason) (rate(easel_service_requests_refused_total{_RATE}))", "{{reason}}"),
        ),
        graph(
            "Waiting",
            "Requests that are held until an instance is ready.",
            Unit.COUNT,
            Query("sum by (service) (easel_service_requests_waiting)", "{{service}}"),
            leads_to="service",
        ),
    ),
)
_INSTANCES = Row(
    "Instances",
    (
        graph(
            "By state",
            "Instances of all services.",
            Unit.COUNT,
            Query("sum by (state) (easel_service_instances)", "{{state}}"),
            stacked=True,
            steps=True,
        ),
        graph(
            "By pool",
            "Where they are: on nodes of one's own, public ones, spot ones.",
            Unit.COUNT,
            Query("sum by (pool) (easel_service_instances)", "{{pool}}"),
            stacked=True,
            steps=True,
        ),
        graph(
            "Starts",
            "How often programs were started anew, in five minutes.",
            Unit.COUNT,
            Query("sum by (service) (increase(easel_instance_restarts_total[5m]))", "{{service}}"),
            leads_to="service",
        ),
    ),
)
_NODES = Row(
    "Nodes",
    (
        graph(
            "CPU",
            "Share of the cores of each node that is busy.",
            Unit.SHARE,
            Query(
                f"sum by (node) (rate(easel_node_cpu_seconds_total{_RATE}))"
                " / max by (node) (easel_node_cpu_cores)",
                "{{node}}",
            ),
            most=1,
        ),
        graph(
            "Memory",
            "Share of the memory of each node that is in use.",
            Unit.SHARE,
            Query(
                "max by (node) (easel_node_memory_used_bytes)"
                " / max by (node) (easel_node_memory_total_bytes)",
                "{{node}}",
            ),
            limits=((0.95, RED),),
            most=1,
        ),
        graph(
            "Disk",
            "Share of the file system with the agent's data that is in use.",
            Unit.SHARE,
            Query(
                "max by (node) (easel_node_disk_used_bytes) / max by (node) (easel_node_disk_total_bytes)",
                "{{node}}",
            ),
            limits=((0.9, RED),),
            most=1,
        ),
        graph(
            "Network",
            "Received and sent by each node.",
            Unit.BYTES_A_SECOND,
            Query(
                f"sum by (node) (rate(easel_node_network_received_bytes_total{_RATE}))", "{{node}} received"
            ),
            Query(f"sum by (node) (rate(easel_node_network_sent_bytes_total{_RATE}))", "{{node}} sent"),
        ),
        graph(
            "Disk traffic",
            "Read and written by each node.",
            Unit.BYTES_A_SECOND,
            Query(f"sum by (node) (rate(easel_node_disk_read_bytes_total{_RATE}))", "{{node}} read"),
            Query(f"sum by (node) (rate(easel_node_disk_written_bytes_total{_RATE}))", "{{node}} written"),
        ),
        bars(
            "Handed out",
            "Share of what all nodes offer that instances hold.",
            Unit.SHARE,
            Query(
                "sum by (resource) (easel_node_allocated) / (sum by (resource) (easel_node_capacity) > 0)",
                "{{resource}}",
            ),
            most=1,
            limits=((0.9, ORANGE),),
        ),
        bars(
            "Nodes that take instances",
            "1 for a node that is ready and not cordoned.",
            Unit.NONE,
            Query("max by (node) (easel_node_schedulable) * max by (node) (easel_node_ready)", "{{node}}"),
            most=1,
        ),
        bars(
            "Fenced GPUs",
            "GPUs that no instance is placed on.",
            Unit.COUNT,
            Query("max by (node) (easel_node_fenced_gpus)", "{{node}}"),
            limits=((1, RED),),
        ),
        bars(
            "Nodes by kind",
            "How many nodes of each kind there are.",
            Unit.COUNT,
            Query("count by (kind, spot) (easel_node_info)", "{{kind}}, spot {{spot}}"),
        ),
    ),
)

FLEET = Board(
    "fleet",
    "Easel / Fleet",
    "All services, instances and nodes: what is asked and answered, and what there is to answer with.",
    (_GLANCE, _REQUESTS, _INSTANCES, _NODES),
)
