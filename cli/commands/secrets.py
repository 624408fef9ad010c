"""`easel secret`: values that a service.json refers to and does not hold. They are never shown."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from cli.output import Format, Output, dump, say, show_rows, warn
from cli.pairs import pairs
from cli.session import listed, with_easel

secrets = typer.Typer(help="Keep passwords, keys and tokens for services.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(metavar="NAME", help="The secret's name.")]
# What a secret of an object store says beside its secrets: anybody may see it.
_NO_SECRETS = ("endpoint", "region", "addressing", "access_key_id")


@secrets.command("set")
def set_(
    name: Name,
    given: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Values; KEY= removes a key.")
    ] = None,
    files: Annotated[
        list[str] | None,
        typer.Option("--from-file", metavar="KEY=PATH", help="A value that is the whole of a file."),
    ] = None,
    stdin: Annotated[
        str, typer.Option("--stdin", metavar="KEY", help="A value from standard input, or asked for.")
    ] = "",
    replace: Annotated[bool, typer.Option("--replace", help="Keys that are not named go.")] = False,
    output: Output = Format.TABLE,
) -> None:
    """Create a secret, or change keys of it; other keys stay. Services refer to secret://NAME/KEY."""
    values = _values(name, given or [], files or [], stdin)
    secret = with_easel(lambda easel: easel.secrets.put(name, values, replace=replace), "secret set")
    if output is not Format.TABLE:
        return dump(secret, output)
    keys = ", ".join(secret.keys) or "no keys"
    say(f"{name} has {keys}; refer to a value as secret://{name}/KEY")
    users = ", ".join(secret.used_by)
    return say(f"used by {users}; what runs keeps the values of before until a restart") if users else None


def _values(name: str, given: Sequence[str], files: Sequence[str], stdin: str) -> dict[str, str]:
    for each in given:
        if not each.partition("=")[1]:  # What may be a value without its key is not repeated.
            raise typer.BadParameter("give KEY=VALUE; an argument after NAME has no =")
    typed = pairs(given, "KEY=VALUE")
    read = {key: _content(key, path) for key, path in pairs(files, "KEY=PATH").items()}
    asked = {stdin: _from_stdin(stdin)} if stdin else {}
    if not typed and not read and not asked:
        raise typer.BadParameter("give KEY=VALUE, --from-file KEY=PATH or --stdin KEY")
    if len({*typed, *read, *asked}) < len(typed) + len(read) + len(asked) or len(typed) < len(given):
        raise typer.BadParameter("a key is given twice")
    if key := next((key for key, value in typed.items() if value and key not in _NO_SECRETS), ""):
        warn(
            "values on a command line are seen by other users of this machine and kept by the shell; "
            f"`easel secret set {name} --stdin {key}` is not"
        )
    return {**typed, **read, **asked}


def _content(key: str, path: str) -> str:
    from libs.domain.errors import InvalidRequest

    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise InvalidRequest(key, path, f"a file that can be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise InvalidRequest(key, path, "a file of text in UTF-8") from error
    if not text:
        raise InvalidRequest(key, path, "a file that is not empty")
    return text


def _from_stdin(key: str) -> str:
    """Asked for without an echo on a terminal; else all of standard input without its last line break."""
    from libs.domain.errors import InvalidRequest

    if sys.stdin.isatty():
        from getpass import getpass

        text = getpass(f"value of {key}: ")
    else:
        text = sys.stdin.read().removesuffix("\n").removesuffix("\r")
    if not text:
        raise InvalidRequest(key, text, f"a value on standard input (`{key}=` removes the key)")
    return text


@secrets.command("list", hidden=True)
@secrets.command("ls")
def ls(output: Output = Format.TABLE) -> None:
    """List the secrets, their keys and which services use them; values are never shown."""
    from cli.views import SECRETS

    found = with_easel(lambda easel: listed(easel.secrets.list()), "secret ls")
    show_rows(found, output, SECRETS, "no secret yet; `easel secret set NAME --stdin KEY` makes one")


@secrets.command("delete", hidden=True)
@secrets.command("rm")
def rm(name: Name, output: Output = Format.TABLE) -> None:
    """Delete a secret that no service uses."""
    with_easel(lambda easel: easel.secrets.delete(name), "secret rm")
    say(f"{name} is deleted") if output is Format.TABLE else dump({"deleted": name}, output)


def add_to(app: typer.Typer) -> None:
    app.add_typer(secrets, name="secret", rich_help_panel="Storage and secrets")
