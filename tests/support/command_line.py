"""Running `easel` commands inside the test, against a context file of its own."""

import io
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cli.main import run
from easel_sdk.context import Context, ContextFile, write_contexts


@dataclass(frozen=True)
class Ran:
    """How a command ended and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def value(self) -> Any:
        """Standard output, read as JSON."""
        return json.loads(self.out)


class CommandLine:
    """Calls commands as a shell would. `path` is the context file in force."""

    def __init__(self, path: Path, captured: "pytest.CaptureFixture[str]") -> None:
        self.path = path
        self._captured = captured

    def knows(self, **context: str) -> None:
        """Writes a context called "test" and makes it the current one."""
        write_contexts(self.path, ContextFile().saved("test", Context(**context), use=True))

    def __call__(self, *arguments: str, stdin: str = "") -> Ran:
        self._captured.readouterr()
        before, sys.stdin = sys.stdin, io.StringIO(stdin)
        try:
            code = run(list(arguments))
        finally:
            sys.stdin = before
        written = self._captured.readouterr()
        return Ran(code, written.out, written.err)
