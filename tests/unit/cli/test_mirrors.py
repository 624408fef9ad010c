"""Mirrors on the command line, against an admin API in memory."""

import pytest

from easel.common.v1 import common_pb2 as common
from tests.support.command_line import CommandLine
from tests.support.fake_admin import FakeAdmin, now


@pytest.fixture
def llm(fake: FakeAdmin) -> FakeAdmin:
    for name in ("llm", "next"):
        fake.create(f'{{"name": "{name}"}}', "")
    return fake


def test_a_mirror_is_made_changed_listed_and_stopped(easel: CommandLine, llm: FakeAdmin) -> None:
    made = easel("mirror", "llm", "--to", "next,gone", "--ratio", "10", "--compare", "1%")

    assert made.code == 0
    assert made.err == (
        "10% of the requests of llm are copied to next, gone; 1% are compared\ngone does not exist\n"
    )
    assert easel("mirror", "llm", "--ratio", "50%").code == 0
    told = easel("mirror", "llm", "--to", "next", "-o", "json").value
    assert (told["targets"], told["ratio"], told["compare"]) == (["next"], 50, 0.01)
    assert easel("mirror", "llm", "--compare", "0%", "-o", "json").value["compare"] == 0
    assert easel("mirror").out.splitlines()[1].split()[:3] == ["llm", "next", "50%"]
    assert easel("mirror", "llm", "--stop").err == "llm is copied no more\n"
    assert easel("mirror", "llm", "--stop").code == 3
    assert "no mirror; `easel mirror SERVICE --to TARGET --ratio N` makes one" in easel("mirror").err


def test_a_mirror_names_its_targets_and_its_ratio_when_it_is_made(easel: CommandLine, llm: FakeAdmin) -> None:
    lacking = easel("mirror", "llm", "--to", "next")

    assert (lacking.code, lacking.err) == (2, "easel: llm has no mirror yet; give --to and --ratio\n")
    assert easel("mirror", "none", "--ratio", "1").code == 3
    for odd in ("0.5", "101", "-1", "ten"):
        refused = easel("mirror", "llm", "--to", "next", f"--ratio={odd}").err
        assert refused == (
            f"easel: --ratio: got '{odd}', expected whole percents from 0 to 100, such as 10 or 10%\n"
        )
    assert easel("mirror", "--ratio", "1").code == 2
    assert easel("mirror", "--stop").code == 2
    assert easel("mirror", "llm", "--stop", "--ratio", "1").code == 2
    assert easel("mirror", "llm", "--to", "next", "--ratio", "101").code == 2
    assert easel("mirror", "llm", "--to", "next", "--ratio", "1", "--compare", "1").code == 2
    assert easel("mirror", "llm").code == 3


def test_what_differed_is_shown_with_counts_latency_and_the_newest_pairs(
    easel: CommandLine, llm: FakeAdmin
) -> None:
    easel("mirror", "llm", "--to", "next", "--ratio", "10", "--compare", "1%")
    assert "nothing is compared yet" in easel("mirror", "llm").err
    pair = common.ComparedPair(
        at=now(),
        method="POST",
        path="/v1/chat",
        status=200,
        target_status=500,
        latency_ms=12.5,
        target_latency_ms=31,
        differences=['$.answer: "yes" → "no"'],
    )
    llm.traffic.mirrors["llm"].comparisons.add(
        service="llm",
        target="next",
        pairs=200,
        same_status=190,
        same_body=95,
        unanswered=1,
        latency_difference_p50_ms=3.25,
        latency_difference_p99_ms=-8,
        differing=[pair],
        since=now(),
    )

    shown = easel("mirror", "llm").out

    assert shown.splitlines()[-5].split()[:-1] == (
        ["next", "200", "190", "(95%)", "95", "(50%)", "1", "+3.2", "ms", "-8.0", "ms"]
    )
    assert "POST /v1/chat  200 → 500  12.5 → 31.0 ms" in shown
    assert shown.endswith('      $.answer: "yes" → "no"\n')
    told = easel("mirror", "llm", "-o", "json").value["comparisons"][0]
    assert told["differing"][0]["differences"] == ['$.answer: "yes" → "no"']
    assert easel("mirror").out.splitlines()[1].split()[4] == "200"
