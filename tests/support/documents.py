"""Reading the project's documents: which paths of the repository they name."""

import re
from collections.abc import Iterator
from itertools import product
from pathlib import Path

ROOT = Path(__file__).parents[2]
FENCE = re.compile(r"```.*?```", re.DOTALL)
QUOTED = re.compile(r"`([^`\n]+)`")
_ROOMS = frozenset(
    (
        "services",
        "libs",
        "cli",
        "sdk",
        "proto",
        "tests",
        "examples",
        "docs",
        "deploy",
        "bench",
        "requirements",
    )
)
_BUILT = ("examples/digits/model/",)


def expanded(pattern: str) -> Iterator[str]:
    """`a/{b,c}` as a/b and a/c."""
    parts = [part.split(",") for part in re.split(r"\{([^}]*)\}", pattern)]
    alternatives = [part if index % 2 else [",".join(part)] for index, part in enumerate(parts)]
    yield from ("".join(choice) for choice in product(*alternatives))


def missing_paths(text: str) -> list[str]:
    """Every quoted path of the repository that does not exist; `path::name` needs the name in the file."""
    missing = []
    for quoted in QUOTED.findall(FENCE.sub("", text)):
        pattern, _, inside = quoted.partition("::")
        is_path = pattern.split("/")[0] in _ROOMS and "/" in pattern and " " not in pattern
        if not is_path or any(built in pattern for built in _BUILT):
            continue
        for each in expanded(pattern.replace("<name>", "*").removesuffix("/")):
            found = sorted(ROOT.glob(each))
            holds_name = not inside or any(f"{inside}(" in path.read_text() for path in found)
            if not found or not holds_name:
                missing.append(quoted)
    return missing
