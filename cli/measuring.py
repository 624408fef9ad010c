"""Numbers of measures that some policy names: also of names that nobody measures."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from easel_sdk.errors import InvalidRequest

if TYPE_CHECKING:
    from easel_sdk import AsyncEasel
    from easel_sdk.types import MetricValue, Selector


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
