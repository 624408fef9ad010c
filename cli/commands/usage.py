"""`easel usage`: what was used, by whom, and what it cost."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from cli.merging import read_spec
from cli.output import Format, dump, put, say, table
from cli.session import with_easel

if TYPE_CHECKING:
    from easel_sdk import AsyncEasel
    from easel_sdk.types import Usage


_EVER = datetime(2000, 1, 1, tzinfo=UTC)


class UsageFormat(StrEnum):
    TABLE = "table"
    JSON = "json"
    YAML = "yaml"
    CSV = "csv"


def usage(
    begin: Annotated[
        str, typer.Option("--from", metavar="TIME", help="2030-01-31, yesterday, 7d for ago, ... (UTC).")
    ] = "today",
    end: Annotated[str, typer.Option("--to", metavar="TIME", help="Up to, and without.")] = "now",
    by: Annotated[
        list[str] | None,
        typer.Option(
            "--by", metavar="KEY", help="service, resource_group, instance_type, workspace or pool."
        ),
    ] = None,
    service: Annotated[str, typer.Option("--service", help="Only this service's.")] = "",
    prices: Annotated[
        str,
        typer.Option(
            "--prices", metavar="FILE.csv", help="Prices: resource_group, instance_type, price_per_hour."
        ),
    ] = "",
    output: Annotated[
        UsageFormat, typer.Option("-o", "--output", help="How to show the result.")
    ] = UsageFormat.TABLE,
) -> None:
    """Show what instances held, in hours, and what it cost.

    Costs are by the prices that nodes had when instances were placed on them, or by a table of prices; a line
    of it without a group, or without a type, stands for all.
    """
    from cli.usage_sums import BY, added_up, csv_text, moment_of, priced, prices_of, told, usage_columns

    now = datetime.now(UTC)
    since, until = moment_of("--from", begin, now), moment_of("--to", end, now)
    if since >= until:
        raise typer.BadParameter(f"--to: got {end!r}, expected a time after {begin!r}")
    keys = [key.strip().replace("-", "_") for given in by or ["service"] for key in given.split(",")]
    for key in keys:
        if key not in BY:
            raise typer.BadParameter(f"--by: got {key!r}, expected one of {', '.join(BY)}")
    given = prices_of(read_spec(prices, "a table of prices"), prices) if prices else None
    # Prices are by group and type, so that sums must not mix those.
    asked = list(dict.fromkeys([*keys, "resource_group", "instance_type"])) if given is not None else keys

    async def work(easel: "AsyncEasel") -> "Usage":
        found = await easel.usage.get(since, until, by=asked, service=service)
        if service:
            await _look_for(easel, service, found, now)
        return found

    found = with_easel(work, "usage")
    costs, missing = priced(found.sums, given) if given is not None else ([s.cost for s in found.sums], [])
    sums = added_up(found.sums, costs, keys)
    for each in missing:
        say(f"{prices} has no price for {each}: it is not in the costs")
    if found.kept_since is not None and found.kept_since > since:
        say(f"usage is known since {found.kept_since:%Y-%m-%d %H:%M}Z")
    if output is UsageFormat.CSV:
        return typer.echo(csv_text(sums, keys), nl=False)
    if output is not UsageFormat.TABLE:
        rows = [told(each, keys) for each in sums]
        told_of = {"from": since, "to": until, "kept_since": found.kept_since, "sums": rows}
        return dump(told_of, Format(output.value))
    return put(table(sums, usage_columns(keys))) if sums else say("nothing was used in that time")


async def _look_for(easel: "AsyncEasel", service: str, found: "Usage", now: datetime) -> None:
    """Says that a service is not there now. Raises `NotFound` where nothing was ever used of it either."""
    from easel_sdk.errors import NotFound

    try:
        await easel.services.get(service)
    except NotFound as unknown:
        ever = found.sums or (await easel.usage.get(_EVER, now, by=["service"], service=service)).sums
        if not ever:
            raise NotFound(f"{unknown}, and nothing was ever used of one") from None
        say(f"there is no service {service!r} now")


def add_to(app: typer.Typer) -> None:
    app.command("usage", rich_help_panel="Numbers and scaling")(usage)
