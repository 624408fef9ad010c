"""`easel mirror`: copies of a service's requests for other services, and how their answers compare."""

from typing import TYPE_CHECKING, Annotated

import typer

from cli.output import Format, Output, dump, facts, out, put, say, show_rows, table
from cli.session import listed, with_easel

if TYPE_CHECKING:
    from easel_sdk import AsyncEasel
    from easel_sdk.types import Mirror


def mirror(
    name: Annotated[
        str, typer.Argument(metavar="[SERVICE]", help="Whose requests are copied; all mirrors without.")
    ] = "",
    to: Annotated[
        list[str] | None,
        typer.Option("--to", metavar="TARGET[,TARGET]", help="Services that get copies. Repeatable."),
    ] = None,
    ratio: Annotated[
        str,
        typer.Option("--ratio", metavar="10%", help="How many of a hundred requests are copied to each."),
    ] = "",
    compare: Annotated[
        str,
        typer.Option("--compare", metavar="1%", help="Compare the answers to so many requests; 0% ends it."),
    ] = "",
    stop: Annotated[bool, typer.Option("--stop", help="Copy nothing any more.")] = False,
    output: Output = Format.TABLE,
) -> None:
    """Copy a service's requests to other services; alone it shows the mirror and how the answers compare.

    The answers of the targets are thrown away, and nothing they do is felt by who called. What is not given
    of a mirror that is there stays.

    Example: easel mirror llm --to llm-next --ratio 10 --compare 1%
    """
    from cli.quantities import percents_of, share_of

    percents = percents_of("--ratio", ratio) if ratio else None
    changes = to or ratio or compare
    if stop and changes:
        raise typer.BadParameter("give --stop alone")
    if not name and (stop or changes):
        raise typer.BadParameter("name the service whose requests are copied")
    if not name:
        return _list(output)
    if stop:
        with_easel(lambda easel: easel.mirrors.delete(name), "mirror")
        done = f"{name} is copied no more"
        return say(done) if output is Format.TABLE else dump({"stopped": name}, output)
    if changes:
        return _put(name, to or [], percents, share_of("--compare", compare) if compare else None, output)
    found = with_easel(lambda easel: easel.mirrors.get(name), "mirror")
    return _show(found) if output is Format.TABLE else dump(found, output)


def _list(output: Format) -> None:
    from cli.traffic_views import MIRRORS

    found = with_easel(lambda easel: listed(easel.mirrors.list()), "mirror")
    show_rows(found, output, MIRRORS, "no mirror; `easel mirror SERVICE --to TARGET --ratio N` makes one")


def _put(name: str, to: list[str], ratio: int | None, compare: float | None, output: Format) -> None:
    targets = [each.strip() for given in to for each in given.split(",") if each.strip()]

    async def work(easel: "AsyncEasel") -> "Mirror":
        from easel_sdk.errors import NotFound

        if targets and ratio is not None and compare is not None:
            return await easel.mirrors.put(name, targets, ratio=ratio, compare=compare)
        try:
            now = await easel.mirrors.get(name)
        except NotFound:
            if not targets or ratio is None:
                await easel.services.get(name)  # An unknown service is what is to be said first.
                raise typer.BadParameter(f"{name} has no mirror yet; give --to and --ratio") from None
            return await easel.mirrors.put(name, targets, ratio=ratio, compare=compare or 0.0)
        return await easel.mirrors.put(
            name,
            targets or now.targets,
            ratio=now.ratio if ratio is None else ratio,
            compare=now.compare if compare is None else compare,
        )

    made = with_easel(work, "mirror")
    if output is not Format.TABLE:
        return dump(made, output)
    from cli.quantities import share_text

    compared = f"; {share_text(made.compare)} are compared" if made.compare else ""
    say(f"{made.ratio}% of the requests of {name} are copied to {', '.join(made.targets)}{compared}")
    for note in made.notes:
        say(note)
    return None


def _show(found: "Mirror") -> None:
    from cli.traffic_views import COMPARISONS, mirror_lines, pair_text

    put(facts(mirror_lines(found)))
    if found.comparisons:
        typer.echo()
        put(table(found.comparisons, COMPARISONS))
    elif found.compare:
        say("nothing is compared yet")
    for comparison in found.comparisons:
        if comparison.differing:
            out().print(f"\nnewest answers of {comparison.target} that differ", style="bold", markup=False)
        for pair in comparison.differing:
            typer.echo(f"  {pair_text(pair)}")
            for difference in pair.differences:
                typer.echo(f"      {difference}")


def add_to(app: typer.Typer) -> None:
    app.command("mirror", rich_help_panel="Traffic")(mirror)
