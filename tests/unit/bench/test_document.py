"""The page of results: what a bench found stands in its place, and nowhere else."""

from collections.abc import Mapping

import pytest

from bench.document import NoMarker, Outcome, Stamp, raw_of, updated
from bench.run_all import NAMES, PAGE

STAMP = Stamp("2026-01-01", {"cores": "2"}, {"Python": "3.11"})
TEMPLATE = """# Page
<!-- goals:begin -->
<!-- goals:end -->
said by people
<!-- store:begin -->
<!-- store:end -->
<!-- startup:begin -->
<!-- startup:end -->
"""


def measured(name: str, raw: Mapping[str, object] | None, text: str = "| a | table |") -> Outcome:
    return Outcome(name, text, raw, f"python -m bench.{name}", 1.0)


def test_a_bench_that_is_run_again_replaces_its_own_figures_alone() -> None:
    old, other, new = ({"rows": [{"what": word}]} for word in ("old", "other", "new"))
    first = updated(TEMPLATE, [measured("store", old), measured("startup", other)], NAMES, STAMP)

    second = updated(first, [measured("store", new)], NAMES, STAMP)

    assert (raw_of(second, "store"), raw_of(second, "startup")) == (new, other)
    assert "said by people" in second


def test_a_bench_that_failed_says_why_in_its_place_and_its_goal_is_not_measured() -> None:
    page = updated(TEMPLATE, [measured("startup", None, "wrk is not installed")], NAMES, STAMP)

    assert "Not measured: wrk is not installed" in page
    assert "| `easel up --detach` until ready, p50 | startup | ≤ 3 s | not measured | – |" in page


def test_a_goal_is_met_or_missed_by_the_figures_on_the_page() -> None:
    met = updated(TEMPLATE, [measured("startup", {"rows": [{"seconds": [2.0, 2.5, 9.0]}]})], NAMES, STAMP)
    missed = updated(TEMPLATE, [measured("startup", {"rows": [{"seconds": [3.5]}]})], NAMES, STAMP)

    assert "| ≤ 3 s | 2.5 s | met |" in met
    assert "| ≤ 3 s | 3.5 s | **missed** |" in missed


def test_a_page_without_a_place_for_a_bench_is_refused() -> None:
    with pytest.raises(NoMarker, match="gateway:begin"):
        updated(TEMPLATE, [measured("gateway", {})], NAMES, STAMP)


def test_the_page_of_the_project_has_a_place_for_every_bench() -> None:
    outcomes = [measured(name, None) for name in NAMES]

    assert updated(PAGE.read_text(), outcomes, NAMES, STAMP).count("Not measured: | a | table |") == len(
        NAMES
    )
