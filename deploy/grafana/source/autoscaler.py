"""The autoscaler's decisions: what it saw, what it held that to, what came of it."""

from deploy.grafana.source.board import ORANGE, RED, Board, Query, Row, Unit, Variable, graph, number, states

_OF = 'service=~"$service"'

_GLANCE = Row(
    "At a glance",
    (
        number(
            "Services with a policy",
            "That the autoscaler looks at.",
            Unit.COUNT,
            f'count(max by (service) (easel_autoscaler_bound_instances{{{_OF}, bound="max"}}))',
        ),
        number(
            "Changes of size",
            "Applied in an hour.",
            Unit.COUNT,
            f"sum(increase(easel_autoscaler_decisions_total{{{_OF}}}[1h]))",
        ),
        number(
            "At their maximum",
            "Services that are as large as their policy allows.",
            Unit.COUNT,
            f"count(max by (service) (easel_service_instances_wanted{{{_OF}}})"
            f' >= on (service) max by (service) (easel_autoscaler_bound_instances{{{_OF}, bound="max"}}))'
            " or vector(0)",
            (1, ORANGE),
        ),
        number(
            "Metrics missing",
            "Of policies; their services are not scaled in.",
            Unit.COUNT,
            f"sum(max by (service, metric) (easel_autoscaler_metric_missing{{{_OF}}}))",
            (1, RED),
        ),
        number(
            "Last look",
            "How long ago it looked at every service.",
            Unit.SECONDS,
            "time() - max(easel_autoscaler_last_look_timestamp_seconds)",
            (10, ORANGE),
            (30, RED),
        ),
        number(
            "A look takes",
            "For all services.",
            Unit.SECONDS,
            "max(easel_autoscaler_look_seconds)",
            (1, ORANGE),
        ),
    ),
)
_DECISIONS = Row(
    "Decisions",
    (
        graph(
            "Instances",
            "Wanted and ready, between the bounds of the policy.",
            Unit.COUNT,
            Query(f"max by (service) (easel_service_instances_wanted{{{_OF}}})", "{{service}} wanted"),
            Query(f"easel:service_ready_instances{{{_OF}}}", "{{service}} ready"),
            Query(
                f"max by (service, bound) (easel_autoscaler_bound_instances{{{_OF}}})",
                "{{service}} {{bound}}",
            ),
            width=12,
            height=10,
            steps=True,
            leads_to="service",
        ),
        graph(
            "What its metrics come to",
            "Each metric as a share of its threshold: above 1 the service grows, below it shrinks.",
            Unit.SHARE,
            Query(
                f"max by (service, metric) (easel_autoscaler_metric_value{{{_OF}}})"
                f" / max by (service, metric) (easel_autoscaler_metric_threshold{{{_OF}}})",
                "{{service}} {{metric}}",
            ),
            width=12,
            height=10,
            limits=((1.1, ORANGE),),
        ),
        graph(
            "What decisions came to",
            "Instances, by the policy that made the newest decision.",
            Unit.COUNT,
            Query(
                f"max by (service, policy) (easel_autoscaler_wanted_instances{{{_OF}}})",
                "{{service}} {{policy}}",
            ),
            steps=True,
        ),
        graph(
            "Changes of size",
            "Applied in five minutes, by policy and direction.",
            Unit.COUNT,
            Query(
                f"sum by (policy, direction) (increase(easel_autoscaler_decisions_total{{{_OF}}}[5m]))",
                "{{policy}} {{direction}}",
            ),
        ),
        states(
            "Metrics missing",
            "While one is missing the service is not scaled in.",
            Query(
                f"max by (service, metric) (easel_autoscaler_metric_missing{{{_OF}}})",
                "{{service}} {{metric}}",
            ),
            ("1", "missing", "red"),
            ("0", "there", "green"),
        ),
    ),
)
_METRICS = Row(
    "Metrics",
    (
        graph(
            "Value",
            "For each ready instance, as last measured.",
            Unit.COUNT,
            Query(
                f"max by (service, metric) (easel_autoscaler_metric_value{{{_OF}}})", "{{service}} {{metric}}"
            ),
        ),
        graph(
            "Threshold",
            "What each is held to.",
            Unit.COUNT,
            Query(
                f"max by (service, metric) (easel_autoscaler_metric_threshold{{{_OF}}})",
                "{{service}} {{metric}}",
            ),
        ),
        graph(
            "Requests waiting",
            "Of services that wake from 0.",
            Unit.COUNT,
            Query(f"sum by (service) (easel_service_requests_waiting{{{_OF}}})", "{{service}}"),
        ),
    ),
)

AUTOSCALER = Board(
    "autoscaler",
    "Easel / Autoscaler",
    "What the autoscaler saw, what it held that to, and what came of it. The sentences are in its history.",
    (_GLANCE, _DECISIONS, _METRICS),
    (Variable("service", "easel_autoscaler_bound_instances"),),
)
