"""The gateways: what comes in, what becomes of it, and whether their Envoys follow."""

from deploy.grafana.source.board import ORANGE, RED, Board, Query, Row, Unit, Variable, graph, number, states

_RATE = "[$__rate_interval]"
_OF = 'gateway=~"$gateway"'


def _rate(metric: str, by: str, legend: str) -> Query:
    return Query(f"sum by ({by}) (rate({metric}{{{_OF}}}{_RATE}))", legend)


def _latest(metric: str) -> Query:
    return Query(f"max by (gateway) ({metric}{{{_OF}}})", "{{gateway}}")


_GLANCE = Row(
    "At a glance",
    (
        number(
            "Connected",
            "Gateways that the scheduler hears.",
            Unit.COUNT,
            f"sum(max by (gateway) (easel_gateway_connected{{{_OF}}}))",
        ),
        number(
            "Envoys",
            "That follow them.",
            Unit.COUNT,
            f"sum(max by (gateway) (easel_gateway_envoys{{{_OF}}}))",
        ),
        number(
            "Requests",
            "That came in, a second.",
            Unit.REQUESTS,
            f"sum(rate(easel_gateway_requests_total{{{_OF}}}{_RATE}))",
        ),
        number(
            "Errors",
            "Share of answers with 5xx over five minutes; of several gateways, the worst.",
            Unit.SHARE,
            f"max(easel:gateway_errors:ratio5m{{{_OF}}})",
            (0.01, ORANGE),
            (0.05, RED),
        ),
        number(
            "In flight", "Requests under way.", Unit.COUNT, f"sum(easel_gateway_requests_in_flight{{{_OF}}})"
        ),
        number("Connections", "Of clients.", Unit.COUNT, f"sum(easel_gateway_connections{{{_OF}}})"),
    ),
)
_REQUESTS = Row(
    "Requests",
    (
        graph(
            "Requests",
            "That came in, whatever became of them.",
            Unit.REQUESTS,
            _rate("easel_gateway_requests_total", "gateway", "{{gateway}}"),
            stacked=True,
        ),
        graph(
            "5xx",
            "Answers with 5xx, of instances or of the gateway.",
            Unit.REQUESTS,
            _rate("easel_gateway_requests_5xx_total", "gateway", "{{gateway}}"),
        ),
        graph(
            "By service",
            "The ten services that are asked most through these gateways.",
            Unit.REQUESTS,
            Query(
                f"topk(10, sum by (service) (rate(easel_service_requests_total{{{_OF}}}{_RATE})))",
                "{{service}}",
            ),
            stacked=True,
            leads_to="service",
        ),
        graph("In flight", "Requests under way.", Unit.COUNT, _latest("easel_gateway_requests_in_flight")),
        graph(
            "Connections", "Open connections of clients.", Unit.COUNT, _latest("easel_gateway_connections")
        ),
        graph(
            "Refused",
            "By the reason.",
            Unit.REQUESTS,
            _rate("easel_service_requests_refused_total", "gateway, reason", "{{gateway}} {{reason}}"),
        ),
        graph(
            "Bytes",
            "To instances and from them.",
            Unit.BYTES_A_SECOND,
            _rate("easel_service_request_bytes_total", "gateway", "{{gateway}} to"),
            _rate("easel_service_response_bytes_total", "gateway", "{{gateway}} from"),
        ),
    ),
)
_ENVOYS = Row(
    "Envoys",
    (
        states(
            "Connected",
            "While it is away its Envoys serve the routes they have.",
            _latest("easel_gateway_connected"),
            ("1", "connected", "green"),
            ("0", "away", "red"),
        ),
        graph(
            "Behind",
            "Generations of routes that its Envoys have not applied yet.",
            Unit.COUNT,
            _latest("easel_gateway_generations_behind"),
            steps=True,
        ),
        graph(
            "Uptime",
            "Since when its Envoy runs; of several, the youngest.",
            Unit.SECONDS,
            _latest("easel_gateway_uptime_seconds"),
        ),
    ),
)

GATEWAY = Board(
    "gateway",
    "Easel / Gateway",
    "The gateways and their Envoys: what comes in, what becomes of it, whether routes are applied.",
    (_GLANCE, _REQUESTS, _ENVOYS),
    (Variable("gateway", "easel_gateway_connected"),),
)
