"""The names of numbers: what they may be, and what is said of others."""

import pytest

from libs.domain.errors import InvalidRequest
from services.metrics.measures import MEASURES, Kind, Measure, names_of, parse_kind, parse_measure
from tests.support.documents import ROOT


def test_a_measure_is_a_name_perhaps_with_an_argument_and_a_tag() -> None:
    assert parse_measure("qps", Kind.SERVICE) == Measure("qps", "qps")
    assert parse_measure("rt[p99]", Kind.SERVICE) == Measure("rt[p99]", "rt", "p99")
    assert parse_measure("custom[a.b]@model[x y]", Kind.INSTANCE) == Measure(
        "custom[a.b]@model[x y]", "custom", "a.b", "model", "x y"
    )


def test_gpu_alone_is_its_utilization() -> None:
    assert parse_measure("gpu", Kind.SERVICE) == Measure("gpu", "gpu", "util")


@pytest.mark.parametrize(
    ("text", "kind", "sentence"),
    [
        ("qsp", Kind.SERVICE, "measure: got 'qsp', expected a measure of kind service: qps, qps1k, "),
        ("qps", Kind.NODE, "measure: got 'qps', expected a measure of kind node: cpu, memory, disk, "),
        ("", Kind.GPU, "measure: got '', expected a measure of kind gpu: memory, util, power, temperature"),
        ("rt", Kind.SERVICE, "measure: got 'rt', expected one of rt[p50], rt[p90], rt[p99], rt[avg]"),
        (
            "rt[p98]",
            Kind.SERVICE,
            "measure: got 'rt[p98]', expected one of rt[p50], rt[p90], ",
        ),
        ("cpu[all]", Kind.SERVICE, "measure: got 'cpu[all]', expected 'cpu' without brackets"),
        ("custom", Kind.SERVICE, "measure: got 'custom', expected the name of the metric in brackets, "),
        ("rt[p99]@a[b]", Kind.SERVICE, "measure: got 'rt[p99]@a[b]', expected 'rt' without a tag; "),
    ],
)
def test_any_other_name_is_refused_with_what_may_stand_there(text: str, kind: Kind, sentence: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse_measure(text, kind)

    assert str(refused.value).startswith(sentence)


def test_every_name_that_is_offered_is_accepted() -> None:
    for kind in Kind:
        for name in names_of(kind):
            parse_measure(name.replace("NAME", "tokens"), kind)


def test_a_kind_that_is_not_there_is_refused() -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse_kind("pod")

    assert str(refused.value) == "kind: got 'pod', expected one of service, instance, node, gpu, gateway"


def test_names_are_told_apart() -> None:
    assert len({entry.name for entry in MEASURES}) == len(MEASURES)


def test_the_document_shows_every_measure_with_its_kinds_and_its_unit() -> None:
    told = (ROOT / "docs" / "METRICS.md").read_text().splitlines()

    for entry in MEASURES:
        row = next((line for line in told if line.startswith(f"| `{entry.name}") and entry.about in line), "")
        assert f"| {', '.join(entry.kinds)} | {entry.unit} |" in row, entry.name
        assert all(f"`{entry.name}[{argument}]`" in row for argument in entry.arguments)
