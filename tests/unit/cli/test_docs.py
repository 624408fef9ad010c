"""docs/CLI.md tells of every command, option and exit code there is."""

import re
from collections.abc import Iterator
from pathlib import Path

import typer.main

from cli.exits import Exit
from cli.main import app

TEXT = (Path(__file__).parents[3] / "docs" / "CLI.md").read_text()


def commands() -> Iterator[tuple[str, list[str]]]:
    """Every visible command with its long options."""
    for name, command in typer.main.get_command(app).commands.items():  # type: ignore[attr-defined]
        inner = getattr(command, "commands", None)
        for path, each in (
            [(name, command)] if inner is None else [(f"{name} {n}", c) for n, c in inner.items()]
        ):
            if not each.hidden:
                yield path, [o for parameter in each.params for o in parameter.opts if o.startswith("--")]


def test_every_command_is_told() -> None:
    for path, _ in commands():
        *noun, verb = path.split()
        rows = [line for line in TEXT.splitlines() if line.startswith("| `easel")]
        told = [row for row in rows if not noun or row.startswith(f"| `easel {noun[0]} ")]
        assert any(re.search(rf"[ `]{verb}[ `]", row) for row in told), path


def test_every_option_that_is_told_exists() -> None:
    known = {option for _, options in commands() for option in options} | {"--context", "--help"}

    assert set(re.findall(r"--[a-z][a-z0-9-]+", TEXT)) <= known


def test_every_exit_code_is_told() -> None:
    told = {int(code) for code in re.findall(r"^\| (\d+) \|", TEXT, flags=re.MULTILINE)}

    assert told == {*map(int, Exit), 130}
