"""What a user gives to change a service.json: a file, or single values merged into what is there."""

import json
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from cli.pairs import pairs

if TYPE_CHECKING:
    from easel_sdk import AsyncEasel

T = TypeVar("T")
_ATTEMPTS = 5

ChangeFile = Annotated[
    str, typer.Option("-f", "-s", "--file", metavar="FILE", help="A service.json with what changes.")
]
Sets = Annotated[
    list[str] | None,
    typer.Option(
        "-D",
        metavar="PATH=VALUE",
        help="One value, such as -D metadata.instance=3 or -D containers.0.image=a:2; null removes it.",
    ),
]


def read_spec(path: str, what: str = "a service.json") -> str:
    """The text of a service.json; `-` is standard input. Raises `InvalidRequest` or `InvalidSpec`
    when it cannot be read."""
    from libs.domain.errors import InvalidRequest, InvalidSpec

    try:
        return sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise InvalidRequest("file", path, f"{what} that can be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise InvalidSpec("$", path, f"{what} in UTF-8") from error


def values_of(sets: Sequence[str] | None) -> dict[str, object]:
    """The `-D` arguments. Ends the command with a usage error when one is not PATH=VALUE."""
    from cli.values import value_of

    return {path: value_of(text) for path, text in pairs(sets or [], "PATH=VALUE").items()}


async def send_change(
    easel: "AsyncEasel",
    name: str,
    given: str | Mapping[str, object],
    send: Callable[[str, int], Awaitable[T]],
) -> T:
    """Calls `send` with the service.json to merge and the revision it was made of, 0 when of none.

    A file's text goes as it is. Values inside of arrays are put into the array as it is now; when the
    service changes meanwhile, that is done anew.
    """
    from cli.values import reaches_into_arrays, spelled_out
    from easel_sdk.errors import Conflict

    if isinstance(given, str):
        return await send(given, 0)
    if not reaches_into_arrays(given):
        return await send(json.dumps(given) if given else "", 0)
    for attempt in range(1, _ATTEMPTS + 1):
        service = await easel.services.get(name)
        try:
            return await send(json.dumps(spelled_out(given, service.spec)), service.revision)
        except Conflict:
            if attempt == _ATTEMPTS:
                raise
    raise AssertionError("the last attempt returns or raises")
