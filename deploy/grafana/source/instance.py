"""One instance: what it uses of what it asked for, how it started, what its program posts."""

from deploy.grafana.source.board import RED, Board, Query, Row, Unit, Variable, bars, graph, number, states

_RATE = "[$__rate_interval]"
_OF = 'service=~"$service", instance=~"$instance"'
_ITS_GPUS = f"max by (instance, gpu, node) (easel_gpu_assigned{{{_OF}}})"


def _rate(metric: str, legend: str) -> Query:
    return Query(f"sum by (instance) (rate({metric}{{{_OF}}}{_RATE}))", legend)


def _latest(metric: str, legend: str) -> Query:
    return Query(f"max by (instance) ({metric}{{{_OF}}})", legend)


def _of_gpus(metric: str) -> Query:
    joined = f"{_ITS_GPUS} * on (gpu, node) group_left () max by (gpu, node) ({metric})"
    return Query(joined, "{{instance}} {{gpu}}")


_GLANCE = Row(
    "At a glance",
    (
        number(
            "Ready",
            "Instances that take traffic.",
            Unit.COUNT,
            f"sum(max by (instance) (easel_instance_ready{{{_OF}}}))",
        ),
        number(
            "CPU", "Cores in use.", Unit.COUNT, f"sum(rate(easel_instance_cpu_seconds_total{{{_OF}}}{_RATE}))"
        ),
        number("Memory", "In use.", Unit.BYTES, f"sum(easel_instance_memory_bytes{{{_OF}}})"),
        number("Connections", "Open to its port.", Unit.COUNT, f"sum(easel_instance_connections{{{_OF}}})"),
        number(
            "Starts anew",
            "How often its program was started anew, in an hour.",
            Unit.COUNT,
            f"sum(increase(easel_instance_restarts_total{{{_OF}}}[1h]))",
            (1, RED),
        ),
        number("GPUs", "That are assigned to it.", Unit.COUNT, f"count({_ITS_GPUS}) or vector(0)"),
    ),
)
_USE = Row(
    "What it uses",
    (
        graph(
            "CPU",
            "Cores in use, and those that it asks for.",
            Unit.COUNT,
            _rate("easel_instance_cpu_seconds_total", "{{instance}}"),
            _latest("easel_instance_cpu_limit_cores", "{{instance}} asks for"),
        ),
        graph(
            "Memory",
            "In use, and what it asks for: at that it is ended.",
            Unit.BYTES,
            _latest("easel_instance_memory_bytes", "{{instance}}"),
            _latest("easel_instance_memory_limit_bytes", "{{instance}} asks for"),
        ),
        graph(
            "Memory of what it asks for",
            "At 1 it is ended.",
            Unit.SHARE,
            Query(
                f"max by (instance) (easel_instance_memory_bytes{{{_OF}}})"
                f" / max by (instance) (easel_instance_memory_limit_bytes{{{_OF}}})",
                "{{instance}}",
            ),
            most=1,
            limits=((0.9, RED),),
        ),
        graph(
            "Connections",
            "Open to its port: how busy it is.",
            Unit.COUNT,
            _latest("easel_instance_connections", "{{instance}}"),
        ),
        states(
            "Ready",
            "When it took traffic.",
            _latest("easel_instance_ready", "{{instance}}"),
            ("1", "ready", "green"),
            ("0", "not ready", "orange"),
        ),
        graph(
            "What its program posts",
            "By name and tags.",
            Unit.COUNT,
            Query(f"max by (instance, name, tags) (easel_custom{{{_OF}}})", "{{instance}} {{name}} {{tags}}"),
        ),
    ),
)
_START = Row(
    "How it started",
    (
        bars(
            "Phases of the start",
            "How long each phase took, from the placement to the first request.",
            Unit.SECONDS,
            Query(
                f"max by (instance, phase) (easel_instance_start_phase_seconds{{{_OF}}})",
                "{{instance}} {{phase}}",
            ),
            width=12,
        ),
        bars(
            "Starts anew",
            "How often its program was started anew, in an hour.",
            Unit.COUNT,
            Query(
                f"sum by (instance) (increase(easel_instance_restarts_total{{{_OF}}}[1h]))", "{{instance}}"
            ),
            width=12,
            limits=((1, RED),),
        ),
    ),
)
_GPUS = Row(
    "Its GPUs",
    (
        graph(
            "Busy",
            "Share of the time in which a kernel ran.",
            Unit.SHARE,
            _of_gpus("easel_gpu_utilization_ratio"),
            most=1,
            leads_to="gpu",
        ),
        graph(
            "Memory",
            "In use of each GPU.",
            Unit.BYTES,
            _of_gpus("easel_gpu_memory_used_bytes"),
            leads_to="gpu",
        ),
        graph(
            "Temperature",
            "Of each GPU.",
            Unit.CELSIUS,
            _of_gpus("easel_gpu_temperature_celsius"),
            leads_to="gpu",
        ),
    ),
)

INSTANCE = Board(
    "instance",
    "Easel / Instance",
    "One instance, or several: what they use of what they asked for, and how they started.",
    (_GLANCE, _USE, _START, _GPUS),
    (
        Variable("service", "easel_instance_ready"),
        Variable("instance", "easel_instance_ready", within='service=~"$service"'),
    ),
)
