"""How results are shown: tables for people; JSON and YAML, always complete, for programs."""

import dataclasses
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from enum import Enum, StrEnum
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

if TYPE_CHECKING:
    from rich.console import Console

T = TypeVar("T")
Columns = Sequence[tuple[str, Callable[[T], object]]]


class Format(StrEnum):
    TABLE = "table"
    JSON = "json"
    YAML = "yaml"


Output = Annotated[Format, typer.Option("-o", "--output", help="How to show the result.")]

_COLOURS = {
    "Running": "green",
    "Ready": "green",
    "Failed": "red",
    "Lost": "red",
    "Fenced": "red",
    "Unhealthy": "red",
    "CrashLoopBackOff": "red",
    "ImagePullBackOff": "red",
    "Warning": "yellow",
    "Error": "red",
    "Completed": "green",
    "Paused": "yellow",
    "Stopped": "dim",
    "Away": "red",
    "No Envoy": "red",
    "Troubled": "yellow",
}
_SENTENCES = ("WHY", "LABELS", "SOURCE", "DESCRIPTION", "USED BY")
_LEAST_SENTENCE = 40
_NO_LIMIT = 1_000
_GAP = 3
# Blanks at the end of a line, also before the code that ends a style.
_BLANK_END = re.compile(r" +(\x1b\[0m)? *$")


def plain(value: Any) -> Any:
    """The value in JSON's terms: dataclasses as objects, moments as ISO 8601 in UTC, times in seconds."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {each.name: plain(getattr(value, each.name)) for each in dataclasses.fields(value)}
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return value


def dump(value: Any, output: Format, *, line: bool = False) -> None:
    """Writes `value` as JSON (on one line if `line`) or as a YAML document."""
    if output is Format.YAML:
        import yaml

        text = yaml.safe_dump(plain(value), sort_keys=False, allow_unicode=True)
        typer.echo(f"---\n{text}" if line else text, nl=False)
        return
    import json

    typer.echo(json.dumps(plain(value), indent=None if line else 2, ensure_ascii=False))


def show_rows(rows: Sequence[T], output: Format, columns: Columns[T], empty: str) -> None:
    """A table with one row a value, or all of them as JSON or YAML; `empty` says there is none."""
    if output is not Format.TABLE:
        dump(rows, output)
    elif rows:
        put(table(rows, columns))
    else:
        say(empty)


def table(rows: Sequence[T], columns: Columns[T], gap: int = _GAP) -> Any:
    """The rows as a rich table, coloured by state."""
    from rich.table import Table

    made = Table(box=None, pad_edge=False, header_style="bold", show_edge=False, padding=(0, gap, 0, 0))
    shown = [[cell(value(row)) for _, value in columns] for row in rows]
    for number, (title, _) in enumerate(columns):
        whole = max(len(title), *(each[number].cell_len for each in shown))
        folds = title in _SENTENCES
        least = min(whole, _LEAST_SENTENCE) if folds else whole
        made.add_column(title, overflow="fold", no_wrap=not folds, min_width=least)
    for cells in shown:
        made.add_row(*cells)
    return made


def fitting(rows: Sequence[T], columns: Columns[T], width: int) -> Any:
    """A table no wider than that, where nothing may wrap: columns that have no room are named below it."""
    from rich.console import Group
    from rich.text import Text

    for gap, count in ((_GAP, len(columns)), *((1, each) for each in range(len(columns), 1, -1))):
        made = table(rows, columns[:count], gap)
        if least_width(made) <= width:
            break
    left_out = [title for title, _ in columns[count:]]
    return Group(made, Text(f"for lack of room without {', '.join(left_out)}")) if left_out else made


def least_width(picture: Any) -> int:
    """How many columns of a terminal it needs at least."""
    from rich.measure import Measurement

    console = out()
    return Measurement.get(console, console.options.update(max_width=_NO_LIMIT), picture).minimum


def cell(value: object) -> Any:
    """One value as a person reads it."""
    from rich.text import Text

    shown = "-" if value is None or value == "" else age(value) if isinstance(value, datetime) else str(value)
    return Text(shown, style=_COLOURS.get(shown.partition(",")[0], ""))


def age(since: datetime | None) -> str:
    """How long ago, in the largest unit that says enough: 45s, 12m, 3h, 5d."""
    if since is None:
        return "-"
    seconds = max(int((datetime.now(UTC) - since).total_seconds()), 0)
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "m")):
        if seconds >= 2 * size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def facts(lines: Sequence[tuple[str, object]]) -> Any:
    """Labels and values under each other, without those that have no value."""
    from rich.table import Table

    grid = Table.grid(padding=(0, 3, 0, 0))
    for label, value in lines:
        if value not in (None, ""):
            grid.add_row(label, cell(value))
    return grid


def put(picture: Any) -> None:
    """Writes a table to standard output, and never cuts it: a terminal too narrow for it wraps the lines."""
    console, least = out(), least_width(picture)
    with console.capture() as captured:
        width, console.width = console.width, console.width if least <= console.width else _NO_LIMIT
        console.print(picture)
        console.width = width
    for line in captured.get().splitlines():
        typer.echo(_BLANK_END.sub(r"\1", line))


def say(sentence: str) -> None:
    """One line for a person, beside the result: on standard error."""
    typer.echo(sentence, err=True)


def warn(sentence: str) -> None:
    typer.secho(f"warning: {sentence}", err=True, fg="yellow")


@cache
def _console(stderr: bool) -> "Console":
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    # Nothing is cut off where a program or a file reads.
    width = None if stream.isatty() else _NO_LIMIT
    return Console(file=stream, width=width, highlight=False, soft_wrap=False)


def out() -> "Console":
    """Standard output: results."""
    return _fresh(False)


def err() -> "Console":
    """Standard error: progress and sentences."""
    return _fresh(True)


def _fresh(stderr: bool) -> "Console":
    console = _console(stderr)
    # A test, or a caller, may have put another stream in place meanwhile.
    console.file = sys.stderr if stderr else sys.stdout
    return console
