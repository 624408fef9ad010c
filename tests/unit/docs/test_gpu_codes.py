"""The table of GPU error codes in docs/OPERATIONS.md is the one that the scheduler acts by."""

import re

from services.scheduler.gpus.xid import CODES, Action, xid
from tests.support.documents import ROOT

ROW = re.compile(r"^\| (\d+) \| (.+) \| (fence|note) \|$", re.MULTILINE)


def test_every_code_is_documented_with_what_it_means_and_what_is_done() -> None:
    rows = ROW.findall((ROOT / "docs" / "OPERATIONS.md").read_text())

    assert rows == [(str(code), each.meaning, each.action.value) for code, each in sorted(CODES.items())]


def test_a_code_that_nobody_knows_is_noted() -> None:
    assert xid(4711).action is Action.NOTE
