"""What programs posted, as it is asked for: of an instance, or as the mean of a service. Pure."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import fmean

from services.metrics.custom import CustomSeries
from services.metrics.measures import Kind, Measure
from services.metrics.reading import Look


@dataclass(frozen=True)
class Posted:
    """The value of one instance, or the mean over the instances of a service that posted lately."""

    subject: str
    value: float
    arrived: float
    instances: int = 0


def posted(
    measure: Measure,
    kind: Kind,
    wants: Callable[[str], bool],
    of_service: str,
    seconds: float,
    look: Look,
) -> list[Posted]:
    """The values of a custom metric by subject.

    Without a tag all that an instance posted under the name counts, as its mean.
    """
    by_instance: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for series in _series(measure, look):
        value = series.mean(seconds, look.at)
        asked = wants(series.service if kind is Kind.SERVICE else series.instance)
        if value is not None and asked and of_service in ("", series.service):
            by_instance.setdefault((series.service, series.instance), []).append(
                (value, series.points.newest[0])
            )
    of = {key: _mean(values) for key, values in by_instance.items()}
    if kind is Kind.INSTANCE:
        return [Posted(instance, *each) for (_, instance), each in of.items()]
    services: dict[str, list[tuple[float, float]]] = {}
    for (service, _), each in of.items():
        services.setdefault(service, []).append(each)
    return [Posted(service, *_mean(each), len(each)) for service, each in services.items()]


def means_of_services(seconds: float, look: Look) -> dict[str, dict[str, float]]:
    """Everything that counts, by service and by the name that it is asked for by, with each of its tags."""
    found: dict[tuple[str, str], dict[str, list[float]]] = {}
    for series in look.store.custom.all():
        value = series.mean(seconds, look.at)
        if value is None or series.instance not in look.store.facts.instances:
            continue
        name = f"custom[{series.name}]"
        for measure in (name, *(f"{name}@{tag}[{of}]" for tag, of in series.tags)):
            found.setdefault((series.service, measure), {}).setdefault(series.instance, []).append(value)
    means: dict[str, dict[str, float]] = {}
    for (service, measure), by_instance in found.items():
        means.setdefault(service, {})[measure] = fmean(map(fmean, by_instance.values()))
    return means


def _series(measure: Measure, look: Look) -> Iterator[CustomSeries]:
    known = look.store.facts.instances
    for series in look.store.custom.all():
        tagged = not measure.tag or (measure.tag, measure.tag_value) in series.tags
        if series.name == measure.argument and tagged and series.instance in known:
            yield series


def _mean(values: list[tuple[float, float]]) -> tuple[float, float]:
    """The mean of the values, and when the newest of them arrived."""
    return sum(value for value, _ in values) / len(values), max(at for _, at in values)
