"""What the compose files and the documents say of each other."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.documents import ROOT

FILES = sorted(ROOT.glob("docker-compose*.yml"))
TEXTS = sorted([*FILES, ROOT / "README.md", *ROOT.glob("docs/*.md")])
OVERRIDE = "docker-compose.override.yml"
# What compose puts in from `.env`: with a default, or handed on where it is set.
VARIABLE = re.compile(r"\$\{(EASEL_\w+)|^ +(EASEL_\w+):$", re.MULTILINE)


def names(path: Path) -> Iterator[str]:
    for match in VARIABLE.finditer(path.read_text()):
        yield match[1] or match[2]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_variable_of_a_compose_file_is_told_to_operators(path: Path) -> None:
    told = (ROOT / "docs/OPERATIONS.md").read_text()

    assert {name for name in names(path) if not is_told(name, told)} == set()


def is_told(name: str, text: str) -> bool:
    """By its name, or by its end beside another: `EASEL_AGENT_LABELS`, `_ZONE`."""
    return name in text or f"`{name.replace('EASEL_AGENT', '')}`" in text


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.name)
def test_nobody_is_told_to_name_further_files_in_a_way_that_drops_the_override(path: Path) -> None:
    assert re.findall(r"-f \S*docker-compose\.\w+\.yml", path.read_text()) == []


def test_the_override_has_the_last_word_among_the_files_that_env_names() -> None:
    text = (ROOT / "docs/OPERATIONS.md").read_text()
    named = [each.split(":") for each in re.findall(r"^COMPOSE_FILE=(\S+)$", text, re.MULTILINE)]

    assert any(OVERRIDE in files for files in named)
    assert all(files[0] == "docker-compose.yml" for files in named)
    assert all(files[-1] == OVERRIDE for files in named if OVERRIDE in files)
    assert all((ROOT / each).exists() for files in named for each in files if each != OVERRIDE)
