"""Numbers of measures that somebody names, and what is said of names that nobody measures."""

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from easel_sdk.errors import InvalidRequest

if TYPE_CHECKING:
    from easel_sdk import AsyncEasel
    from easel_sdk.types import MetricValue, Selector, Service


async def known_numbers(
    easel: "AsyncEasel", selectors: "Sequence[Selector]"
) -> "tuple[list[MetricValue], set[str]]":
    """What is known of the measures, and the names among them that are none.

    One name that is refused would refuse them all, so they are asked for one by one then.
    """
    try:
        return list((await easel.metrics.instant(*selectors)).values), set()
    except InvalidRequest:
        values: list[MetricValue] = []
        unknown: set[str] = set()
        for each in selectors:
            try:
                values += (await easel.metrics.instant(each)).values
            except InvalidRequest:
                unknown.add(each.measure)
        return values, unknown


def as_typed(refused: InvalidRequest) -> InvalidRequest:
    """The refusal of a measure, with the name that it has on the command line."""
    if not refused.field.endswith(".measure"):
        return refused
    return InvalidRequest("MEASURE", refused.value, refused.expected)


def longer_than_kept(refused: InvalidRequest, option: str, given: str) -> InvalidRequest:
    """The refusal of a time of which no number is kept, with the option that asked for it."""
    return InvalidRequest(
        option, given, f"{refused.expected}; what is older is kept by a Prometheus that scrapes Easel"
    )


def refuse_undeclared(service: "Service", asked: Sequence[str], known: Collection[str]) -> None:
    """Raises `InvalidRequest` for a custom metric of which nothing is known, and nothing will be. Pure."""
    from libs.spec.metric_names import custom_of

    metrics = [each for each in service.spec.get("metrics") or () if isinstance(each, dict)]
    declared = [str(each.get("name")) for each in metrics]
    for measure in asked:
        custom = custom_of(measure)
        if custom and custom[0] not in declared and measure not in known:
            those = ", ".join(f"custom[{each}]" for each in declared)
            expected = f"one of the `metrics` of {service.name!r}: {those or 'it declares none'}"
            raise InvalidRequest("MEASURE", measure, expected)


def nothing_text(service: "Service", asked: Sequence[str], kind: str) -> str:
    """What is said where none of the measures has a number. Pure."""
    if kind == "instance" and not service.total:
        return f"{service.name} has no instance" + (f": {service.why}" if service.why else "")
    posted = all(each.startswith("custom[") for each in asked)
    return f"no numbers of {service.name} yet" + (": nothing was posted in the last minute" if posted else "")
