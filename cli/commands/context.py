"""`easel context`: which Easel the commands talk to."""

from typing import Annotated

import typer

from cli.output import Format, Output, dump, say, show_rows

contexts = typer.Typer(help="See and choose which Easel to talk to.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(metavar="NAME", help="The context's name.")]


@contexts.command("list", hidden=True)
@contexts.command("ls")
def ls(output: Output = Format.TABLE) -> None:
    """List the contexts; tokens are not shown."""
    from easel_sdk.context import read_contexts
    from easel_sdk.settings import client_settings

    file = read_contexts(client_settings().context_file)
    rows = [
        {
            "name": name,
            "current": name == file.current,
            "scheduler": each.scheduler,
            "gateway": each.gateway,
            "data_dir": each.data_dir,
        }
        for name, each in sorted(file.contexts.items())
    ]
    columns = (
        ("CURRENT", lambda row: "*" if row["current"] else " "),
        ("NAME", lambda row: row["name"]),
        ("SCHEDULER", lambda row: row["scheduler"]),
        ("GATEWAY", lambda row: row["gateway"]),
        ("DATA DIRECTORY", lambda row: row["data_dir"]),
    )
    show_rows(
        rows,
        output,
        columns,
        "no context yet; run `easel up`, or `easel context set NAME --scheduler HOST:PORT`",
    )


@contexts.command("use")
def use(name: Name, output: Output = Format.TABLE) -> None:
    """Make a context the current one."""
    from easel_sdk.context import read_contexts, write_contexts
    from easel_sdk.settings import client_settings

    path = client_settings().context_file
    file = read_contexts(path).using(name)
    write_contexts(path, file)
    _done(name, output, f"{name} is the current context: {file.contexts[name].scheduler}")


@contexts.command("set")
def set_(
    name: Name,
    scheduler: Annotated[str, typer.Option(help="The admin API's HOST:PORT.", metavar="HOST:PORT")] = "",
    gateway: Annotated[str, typer.Option(help="The gateway's URL.", metavar="URL")] = "",
    token: Annotated[
        str, typer.Option(help="An admin token; - reads it from standard input.", metavar="TOKEN")
    ] = "",
    use_it: Annotated[bool, typer.Option("--use", help="Make it the current one.")] = False,
    output: Output = Format.TABLE,
) -> None:
    """Create a context, or change what is given of it."""
    from dataclasses import replace

    from easel_sdk.context import Context, read_contexts, write_contexts
    from easel_sdk.settings import client_settings

    path = client_settings().context_file
    file = read_contexts(path)
    if token == "-":  # noqa: S105
        token = typer.get_text_stream("stdin").read().strip()
    given = {"scheduler": scheduler, "gateway": gateway, "token": token}
    before = file.contexts.get(name, Context(scheduler=""))
    context = replace(before, **{key: value for key, value in given.items() if value})
    if not context.scheduler:
        raise typer.BadParameter("a new context needs --scheduler HOST:PORT")
    write_contexts(path, file.saved(name, context, use=use_it))
    _done(name, output, f"{name} is kept in {path}")


def _done(name: str, output: Format, sentence: str) -> None:
    say(sentence) if output is Format.TABLE else dump({"context": name}, output)


def add_to(app: typer.Typer) -> None:
    app.add_typer(contexts, name="context", rich_help_panel="Access")
