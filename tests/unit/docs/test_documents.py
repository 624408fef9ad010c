"""The documents name things that exist."""

import re
from pathlib import Path

import pytest

from tests.support.documents import FENCE, QUOTED, ROOT, missing_paths

DOCUMENTS = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("examples/*/README.md")],
    key=lambda path: path.as_posix(),
)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_every_link_leads_somewhere(document: Path) -> None:
    text = FENCE.sub("", document.read_text())
    relative = [link.partition("#")[0] for link in LINK.findall(text) if "://" not in link]

    broken = [link for link in relative if link and not (document.parent / link).exists()]

    assert broken == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_every_path_of_the_repository_that_is_named_exists(document: Path) -> None:
    assert missing_paths(document.read_text()) == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_every_make_target_that_is_named_exists(document: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    in_code = FENCE.findall(document.read_text()) + QUOTED.findall(document.read_text())

    asked = {target for code in in_code for target in re.findall(r"^make ([a-z-]+)", code, re.MULTILINE)}

    assert asked <= targets


def test_a_path_that_does_not_exist_is_noticed() -> None:
    text = "see `libs/telemetry/{logs,nothing}.py`, `tests/unit/docs/test_documents.py::test_of_nothing`"

    assert missing_paths(text) == [
        "libs/telemetry/{logs,nothing}.py",
        "tests/unit/docs/test_documents.py::test_of_nothing",
    ]
