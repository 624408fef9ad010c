"""`easel dataset`: registered sources of files, which a service.json mounts by name and version."""

from typing import Annotated

import typer

from cli.merging import read_spec
from cli.output import Format, Output, dump, say, show_rows
from cli.session import listed, with_easel

datasets = typer.Typer(help="Register sources of files by name and version.", no_args_is_help=True)
Id = Annotated[str, typer.Argument(metavar="ID", help="The dataset's name.")]


@datasets.command("create")
def create(
    dataset_id: Id,
    file: Annotated[
        str, typer.Option("-f", "--file", metavar="FILE", help="A storage entry without mount_path, as JSON.")
    ] = "",
    text: Annotated[
        str, typer.Option("--json", metavar="TEXT", help="The same as text, such as an oss path.")
    ] = "",
    version: Annotated[str, typer.Option("--version", help="Its version; the next number without.")] = "",
    description: Annotated[str, typer.Option("--description", help="What it is.")] = "",
    output: Output = Format.TABLE,
) -> None:
    """Register a version of a dataset; it never changes once it is there."""
    if bool(file) == bool(text):
        raise typer.BadParameter("give either -f FILE or --json TEXT")
    source = read_spec(file, "a source as JSON") if file else text
    made = with_easel(
        lambda easel: easel.datasets.create(dataset_id, source, version=version, description=description),
        "dataset create",
    )
    if output is not Format.TABLE:
        return dump(made, output)
    return say(f"{made.id} is registered at version {made.version}")


@datasets.command("list", hidden=True)
@datasets.command("ls")
def ls(output: Output = Format.TABLE) -> None:
    """List the datasets, each version, and which services mount it."""
    from cli.views import DATASETS

    found = with_easel(lambda easel: listed(easel.datasets.list()), "dataset ls")
    show_rows(found, output, DATASETS, "no dataset yet; `easel dataset create ID -f FILE` registers one")


@datasets.command("delete", hidden=True)
@datasets.command("rm")
def rm(
    dataset_id: Id,
    version: Annotated[str, typer.Argument(metavar="VERSION", help="The version to forget.")],
    output: Output = Format.TABLE,
) -> None:
    """Forget a version of a dataset that no service mounts; the files stay where they are."""
    with_easel(lambda easel: easel.datasets.delete(dataset_id, version), "dataset rm")
    gone = f"{dataset_id} {version}"
    say(f"{gone} is forgotten") if output is Format.TABLE else dump({"deleted": gone}, output)


def add_to(app: typer.Typer) -> None:
    app.add_typer(datasets, name="dataset", rich_help_panel="Storage and secrets")
