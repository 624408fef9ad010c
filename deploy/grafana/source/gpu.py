"""The GPUs: how busy, full, hot and well they are, and who has them."""

from deploy.grafana.source.board import (
    ORANGE,
    RED,
    Board,
    Query,
    Row,
    Unit,
    Variable,
    graph,
    number,
    states,
    table,
)

_OF = 'node=~"$node", gpu=~"$gpu"'
_ONE = "{{node}} {{index}}"


def _latest(metric: str) -> Query:
    return Query(f"max by (gpu, index, node) ({metric}{{{_OF}}})", _ONE)


_GLANCE = Row(
    "At a glance",
    (
        number(
            "GPUs",
            "That agents tell of.",
            Unit.COUNT,
            f"count(max by (gpu, node) (easel_gpu_healthy{{{_OF}}}))",
        ),
        number(
            "Not healthy",
            "GPUs that may not be used.",
            Unit.COUNT,
            f"sum(1 - max by (gpu, node) (easel_gpu_healthy{{{_OF}}}))",
            (1, RED),
        ),
        number(
            "Assigned",
            "GPUs that an instance has.",
            Unit.COUNT,
            f"count(max by (gpu, node) (easel_gpu_assigned{{{_OF}}}) > 0) or vector(0)",
        ),
        number("Busy", "Mean of all.", Unit.SHARE, f"avg(easel_gpu_utilization_ratio{{{_OF}}})"),
        number(
            "Memory in use",
            "Of all.",
            Unit.SHARE,
            f"sum(easel_gpu_memory_used_bytes{{{_OF}}}) / sum(easel_gpu_memory_total_bytes{{{_OF}}})",
        ),
        number("Power", "Of all.", Unit.WATTS, f"sum(easel_gpu_power_watts{{{_OF}}})"),
    ),
)
_USE = Row(
    "How busy",
    (
        graph(
            "Busy",
            "Share of the time in which a kernel ran.",
            Unit.SHARE,
            _latest("easel_gpu_utilization_ratio"),
            most=1,
        ),
        graph("Memory", "In use.", Unit.BYTES, _latest("easel_gpu_memory_used_bytes")),
        graph(
            "Share of memory",
            "In use of what the GPU has.",
            Unit.SHARE,
            Query(
                f"max by (gpu, index, node) (easel_gpu_memory_used_bytes{{{_OF}}})"
                f" / max by (gpu, index, node) (easel_gpu_memory_total_bytes{{{_OF}}})",
                _ONE,
            ),
            most=1,
        ),
        graph(
            "Clock of the multiprocessors",
            "Lower than others under load: it is held down.",
            Unit.HERTZ,
            _latest("easel_gpu_sm_clock_hertz"),
        ),
        graph("Clock of the memory", "Of each GPU.", Unit.HERTZ, _latest("easel_gpu_memory_clock_hertz")),
        graph("Power", "Drawn by each GPU.", Unit.WATTS, _latest("easel_gpu_power_watts")),
    ),
)
_HEALTH = Row(
    "How well",
    (
        graph(
            "Temperature",
            "A few degrees above 85 °C it slows itself down.",
            Unit.CELSIUS,
            _latest("easel_gpu_temperature_celsius"),
            limits=((80, ORANGE), (85, RED)),
        ),
        states(
            "Held down",
            "When and why clocks were held down.",
            Query(f"max by (node, index, reason) (easel_gpu_throttled{{{_OF}}})", f"{_ONE} {{{{reason}}}}"),
            ("1", "held down", "orange"),
            ("0", "free", "green"),
        ),
        states(
            "Healthy",
            "One that is not is fenced.",
            _latest("easel_gpu_healthy"),
            ("1", "healthy", "green"),
            ("0", "not healthy", "red"),
        ),
        graph(
            "Memory errors",
            "Corrected and uncorrected, in an hour.",
            Unit.COUNT,
            Query(
                f"sum by (node, index, kind) (increase(easel_gpu_ecc_errors_total{{{_OF}}}[1h]))",
                f"{_ONE} {{{{kind}}}}",
            ),
        ),
        graph(
            "XID errors",
            "How often the driver named each, as its agent has seen.",
            Unit.COUNT,
            # A code is counted from when it is first seen: growth from nothing would not be shown.
            Query(
                f"max by (node, index, xid) (easel_gpu_xid_errors_total{{{_OF}}})",
                f"{_ONE} XID {{{{xid}}}}",
            ),
            steps=True,
        ),
        table(
            "Who has them",
            "The instance that each GPU is assigned to.",
            Query(f"max by (node, gpu, service, instance) (easel_gpu_assigned{{{_OF}}}) > 0"),
            width=8,
        ),
    ),
)

GPU = Board(
    "gpu",
    "Easel / GPU",
    "The GPUs of the chosen nodes: how busy, full, hot and well they are, and who has them.",
    (_GLANCE, _USE, _HEALTH),
    (
        Variable("node", "easel_gpu_healthy"),
        Variable("gpu", "easel_gpu_healthy", within='node=~"$node"'),
    ),
)
