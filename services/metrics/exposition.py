"""Numbers as the text that Prometheus reads: OpenMetrics 1.0, under the names of the catalogue alone."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from itertools import islice
from math import isnan

from services.metrics.catalogue import CATALOGUE, Metric, Type

CONTENT_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"
# Values of labels in the order of the catalogue, escaped; and the number.
Row = tuple[tuple[str, ...], float]
Rows = Callable[[], Iterable[Row]]
# Lines after which others get their turn.
_SLICE = 2_000
_SUFFIX = {Type.COUNTER: "_total", Type.GAUGE: "", Type.INFO: "_info", Type.HISTOGRAM: ""}


def escaped(text: str) -> str:
    """The value of a label as it stands between quotes."""
    if "\\" in text or '"' in text or "\n" in text:
        return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return text


async def exposition(families: Mapping[str, Rows], lines: Mapping[str, Callable[[], Iterable[str]]]) -> bytes:
    """The whole text. `families` gives the rows of each name, `lines` what is written already.

    Others get their turn every few milliseconds: with thousands of instances it is tens of megabytes.
    """
    parts = [part async for part in _parts(families, lines)]
    return "".join(parts).encode()


async def _parts(
    families: Mapping[str, Rows], lines: Mapping[str, Callable[[], Iterable[str]]]
) -> AsyncIterator[str]:
    for metric in CATALOGUE:
        if metric.name in lines:
            written = iter(lines[metric.name]())
        elif metric.name in families:
            written = _lines(metric, families[metric.name]())
        else:
            continue
        first = True
        while part := "".join(islice(written, _SLICE)):
            if first:
                yield head(metric)
            first = False
            yield part
            await asyncio.sleep(0)
    yield "# EOF\n"


def head(metric: Metric) -> str:
    """What stands before the samples of a family."""
    return f"# TYPE {metric.name} {metric.type}\n# HELP {metric.name} {escaped(metric.help)}\n"


def _lines(metric: Metric, rows: Iterable[Row]) -> Iterator[str]:
    name = metric.name + _SUFFIX[metric.type]
    labels = ",".join(f'{label}="%s"' for label in metric.labels)
    line = f"{name}{{{labels}}} " if labels else f"{name} "
    for values, number in rows:
        # What is missing is not said.
        if not isnan(number):
            yield f"{line % values if labels else line}{number!r}\n"
