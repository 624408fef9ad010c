"""Access tokens and links for browsers, against an admin API in memory."""

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from tests.support.command_line import CommandLine
from tests.support.documents import ROOT
from tests.support.fake_admin import FakeAdmin


@pytest.fixture
def llm(fake: FakeAdmin) -> FakeAdmin:
    """A service called llm-v1 in a group called llm."""
    fake.create('{"name": "llm-v1", "metadata": {"group": "llm"}}', "")
    return fake


def test_access_tokens_are_made_listed_shown_and_deleted(easel: CommandLine, llm: FakeAdmin) -> None:
    made = easel("access", "create", "llm-v1", "partner", "--valid-for", "30d")

    assert made.out == "value-of-partner\n"
    assert made.err == "at-1 (partner) opens llm-v1 for 30d:\n"
    rows = easel("access", "ls", "llm-v1").out.splitlines()[1:]
    assert [row.split()[:4] for row in rows] == [
        ["service:llm-v1", "default", "never", "-"],
        ["at-1", "partner", "in", "29d"],
    ]
    assert "value-of" not in easel("access", "ls", "llm-v1", "-o", "json").out
    assert easel("access", "show", "at-1").out == "value-of-partner\n"
    assert easel("access", "show", "llm-v1", "partner").out == "value-of-partner\n"
    assert easel("access", "show", "service:llm-v1").out == "token-of-llm-v1\n"
    assert easel("access", "delete", "llm-v1", "partner").err == "at-1 is deleted\n"
    assert easel("access", "delete", "at-1").code == 3


def test_a_group_has_access_tokens_as_a_service_has(easel: CommandLine, llm: FakeAdmin) -> None:
    made = easel("access", "create", "llm", "partner", "-o", "json").value

    assert (made["token"]["group"], made["token"]["service"], made["value"]) == (
        "llm",
        "",
        "value-of-partner",
    )
    assert [each["id"] for each in easel("access", "ls", "llm", "-o", "json").value] == ["group:llm", "at-1"]
    unknown = easel("access", "ls", "none")
    assert (unknown.code, unknown.err) == (3, "easel: no service and no group named 'none'\n")
    nameless = easel("access", "show", "llm", "none")
    assert nameless.code == 3 and "`easel access ls llm` lists them" in nameless.err


def test_a_rotation_shows_the_new_value_and_how_long_the_one_before_is_valid(
    easel: CommandLine, llm: FakeAdmin
) -> None:
    easel("access", "create", "llm-v1", "partner")

    usual = easel("access", "rotate", "at-1")
    at_once = easel("access", "rotate", "llm-v1", "partner", "--overlap", "0")

    assert usual.out == "new-value-of-partner\n"
    assert usual.err == "at-1 (partner) has a new value; the one before is valid for 1h more:\n"
    assert at_once.err == "at-1 (partner) has a new value; the one before is void:\n"
    assert easel("access", "rotate", "at-1", "--overlap", "soon").code == 2
    assert easel("access", "rotate", "none").code == 3


def test_a_value_of_ones_own_is_warned_of_on_the_line_and_not_on_standard_input(
    easel: CommandLine, llm: FakeAdmin
) -> None:
    typed = easel("access", "create", "llm-v1", "a", "--value", "hunter2")
    piped = easel("access", "create", "llm-v1", "b", "--value", "-", stdin="hunter3\n")

    assert "warning: a value on a command line" in typed.err and "warning" not in piped.err
    assert (typed.out, piped.out) == ("hunter2\n", "hunter3\n")
    assert easel("access", "create", "llm-v1", "c", "--value", "-", stdin="").code == 2


def test_a_link_is_printed_with_how_long_it_may_be_opened(easel: CommandLine, llm: FakeAdmin) -> None:
    ran = easel("open", "llm-v1", "--for", "10m", "--host", "--print")

    assert ran.out == "http://127.0.0.1:8800/api/predict/llm-v1/?link=signed\n"
    assert ran.err == "whoever has the link may open it for 10m\n"
    (asked,) = llm.traffic.links
    assert asked.by_host and asked.valid_for.ToTimedelta() == timedelta(minutes=10)
    told = easel("open", "llm-v1", "-o", "json").value
    assert set(told) == {"url", "expires_at"}
    assert easel("open", "gone", "--print").code == 3
    assert easel("open", "llm-v1", "--for", "soon").code == 2


def opened_with(browser: str, context: Path) -> "subprocess.CompletedProcess[str]":
    """`easel open` in a process of its own: which browser there is, is looked up once a process."""
    # No other browser is found, whatever this machine has.
    settings = {**os.environ, "EASEL_CONTEXT": str(context), "BROWSER": browser, "PATH": str(context.parent)}
    return subprocess.run(
        [sys.executable, "-m", "cli.main", "open", "llm-v1"],
        env=settings,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_link_opens_in_the_browser_and_is_printed_where_there_is_none(
    easel: CommandLine, llm: FakeAdmin, tmp_path: Path
) -> None:
    script = tmp_path / "browser"
    script.write_text(f'#!/bin/sh\nprintf %s "$1" > {tmp_path}/opened\n')
    script.chmod(0o755)

    ran = opened_with(f"{script} %s", easel.path)
    broken = opened_with("/bin/false %s", easel.path)

    link = "http://127.0.0.1:8800/api/predict/llm-v1/?link=signed"
    assert (ran.returncode, ran.stdout) == (0, "")
    assert ran.stderr == "llm-v1 is opened in the browser; the link is valid for 5m\n"
    assert (tmp_path / "opened").read_text() == link
    assert (broken.returncode, broken.stdout) == (0, f"{link}\n")
