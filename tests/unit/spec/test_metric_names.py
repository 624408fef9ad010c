"""The names of metrics, which policies, the autoscaler and whoever measures them have in common."""

import pytest

from libs.spec.metric_names import KNOWN, is_total, measured
from services.metrics.measures import MEASURES, Kind


def test_every_metric_of_a_policy_is_a_measure_of_services() -> None:
    names = {
        f"{each.name}[{argument}]" if argument else each.name
        for each in MEASURES
        if Kind.SERVICE in each.kinds
        for argument in each.arguments or ("",)
    }

    # How many instances there are follows from a policy, and decides nothing in one.
    assert names - KNOWN == {"custom", "instances", "wanted"}
    assert KNOWN - names <= {"gpu"}


@pytest.mark.parametrize(
    ("name", "known", "total"),
    [
        ("qps", True, True),
        ("status[5xx]", True, True),
        ("status[1xx]", False, False),
        ("rt[p99]", True, False),
        ("custom[depth]", True, False),
        ("custom[depth]@queue[]", True, False),
        ("wanted", False, False),
    ],
)
def test_a_metric_is_known_and_is_a_total_for_all_alike(name: str, known: bool, total: bool) -> None:
    assert (measured(name), is_total(name)) == (known, total)
