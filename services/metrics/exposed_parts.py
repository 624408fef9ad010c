"""What Prometheus is told of the parts of Easel themselves, in their own words."""

from collections.abc import Iterable, Iterator, Mapping
from functools import partial

from services.metrics.catalogue import BY_NAME, Metric
from services.metrics.components import SILENT_AFTER_S, Said
from services.metrics.exposition import Row, Rows, escaped
from services.metrics.store import Store


def parts(store: Store) -> dict[str, Rows]:
    """The families that parts report, each under its name of the catalogue; other names are not exposed."""
    now = store.now()
    said = sorted(store.components.all(), key=lambda each: each.at)
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for each in said:
        if each.at > now - SILENT_AFTER_S:
            _add(found, each)
    return {
        **{name: partial(_rows, rows) for name, rows in found.items()},
        "easel_component_up": partial(_up, said, now),
    }


def _add(found: dict[str, dict[tuple[str, ...], float]], said: Said) -> None:
    for sample in said.samples:
        metric = BY_NAME.get(sample.name)
        if metric is not None:
            # Two that say the same: the newer one counts.
            found.setdefault(sample.name, {})[_labels(metric, sample.labels)] = sample.value


def _labels(metric: Metric, labels: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(escaped(labels.get(label, "")) for label in metric.labels)


def _rows(rows: dict[tuple[str, ...], float]) -> Iterator[Row]:
    yield from rows.items()


def _up(said: Iterable[Said], now: float) -> Iterator[Row]:
    for each in said:
        yield (escaped(each.component), escaped(each.name)), float(each.at > now - SILENT_AFTER_S)
