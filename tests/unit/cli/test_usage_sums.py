"""`easel usage`: times as people write them, prices, sums, CSV."""

import csv
import io
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import typer

from cli.usage_sums import added_up, moment_of, price_of, priced, prices_of
from easel.admin.v1 import scaling_pb2 as pb
from easel_sdk.types import UsageSum
from libs.domain.errors import InvalidRequest
from tests.support.command_line import CommandLine
from tests.support.fake_admin import FakeAdmin
from tests.support.fake_admin_scaling import at

NOW = datetime(2030, 1, 31, 12, 30, tzinfo=UTC)
HOUR = 3_600_000
PRICES = "resource_group,instance_type,price_per_hour\npublic,gpu.l4,2.0\n,gpu.l4,1.5\nprivate,,0.5\n"


def test_times_are_dates_words_or_so_long_ago() -> None:
    read = {
        "2030-01-30": datetime(2030, 1, 30, tzinfo=UTC),
        "2030-01-30T08:15Z": datetime(2030, 1, 30, 8, 15, tzinfo=UTC),
        "2030-01-30T08:15+02:00": datetime(2030, 1, 30, 6, 15, tzinfo=UTC),
        "today": datetime(2030, 1, 31, tzinfo=UTC),
        "yesterday": datetime(2030, 1, 30, tzinfo=UTC),
        "now": NOW,
        "7d": NOW - timedelta(days=7),
        "90m": NOW - timedelta(minutes=90),
    }

    assert {text: moment_of("--from", text, NOW) for text in read} == read
    for text in ("", "tomorrowish", "2030-13-01", "7q"):
        with pytest.raises(typer.BadParameter, match="--from: got"):
            moment_of("--from", text, NOW)


def test_a_price_is_that_of_the_nearest_line() -> None:
    prices = prices_of(PRICES, "p.csv")

    assert price_of(prices, "public", "gpu.l4") == 2.0
    assert price_of(prices, "private", "gpu.l4") == 1.5
    assert price_of(prices, "private", "cpu.small") == 0.5
    assert price_of(prices, "public", "cpu.small") is None


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", PRICES + "public,x,much\n", PRICES + "public,x,-1\n"])
def test_a_table_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest, match="--prices: got"):
        prices_of(text, "p.csv")


def test_sums_are_exact_and_costs_by_the_table() -> None:
    sums = [
        UsageSum("a", "public", "gpu.l4", "", "", HOUR + 1, 2 * HOUR, 0, 0, 9.0),
        UsageSum("a", "private", "gpu.l4", "", "", HOUR, HOUR, 0, 0, 9.0),
        UsageSum("b", "public", "cpu.small", "", "", HOUR, 0, 0, 0, 9.0),
    ]

    costs, missing = priced(sums, prices_of(PRICES, "p.csv"))
    a, b = added_up(sums, costs, ("service",))

    assert (a.service, a.instance_ms, a.gpu_ms) == ("a", 2 * HOUR + 1, 3 * HOUR)
    assert round(a.cost, 4) == 3.5 and b.cost == 0
    assert missing == ["cpu.small in public"]


def test_usage_is_shown_in_hours_by_service_unless_told(easel: CommandLine, fake: FakeAdmin) -> None:
    sums = [
        pb.UsageSum(service="llm", instance_ms=5400_000, gpu_ms=2 * HOUR, cpu_milli_ms=1000 * HOUR, cost=3)
    ]
    fake.scaling.usage = pb.GetUsageResponse(sums=sums, kept_since=at(1_000_000_000))

    ran = easel("usage", "--from", "2030-01-01", "--to", "2030-01-31")

    assert ran.out.splitlines()[1].split() == ["llm", "1.50", "2.00", "1.00", "0.00", "3.00"]
    request = fake.scaling.asked[-1]
    assert list(request.by) == ["service"]
    assert request.begin.ToDatetime(UTC) == datetime(2030, 1, 1, tzinfo=UTC)


def test_usage_by_a_table_of_prices_is_asked_by_group_and_type(
    easel: CommandLine, fake: FakeAdmin, tmp_path: Path
) -> None:
    table = tmp_path / "prices.csv"
    table.write_text(PRICES)
    fake.scaling.usage = pb.GetUsageResponse(
        sums=[
            pb.UsageSum(workspace="w", resource_group="public", instance_type="gpu.l4", instance_ms=HOUR),
            pb.UsageSum(workspace="w", resource_group="public", instance_type="big", instance_ms=HOUR),
        ],
        kept_since=at(4_000_000_000),
    )

    ran = easel(
        "usage",
        "--by",
        "workspace",
        "--prices",
        str(table),
        "-o",
        "csv",
        "--from",
        "2030-01-01",
        "--to",
        "2030-02-01",
    )

    assert list(fake.scaling.asked[-1].by) == ["workspace", "resource_group", "instance_type"]
    (row,) = csv.DictReader(io.StringIO(ran.out))
    assert (row["workspace"], row["instance_hours"], row["cost"], row["instance_ms"]) == (
        *("w", "2.0", "2.0"),
        str(2 * HOUR),
    )
    assert "has no price for big in public" in ran.err and "usage is known since 2096-10-02" in ran.err
    (told,) = easel("usage", "--by", "workspace", "-o", "json").value["sums"]
    assert told["workspace"] == "w"


def test_what_cannot_be_asked_is_refused_and_nothing_used_is_said(easel: CommandLine) -> None:
    assert easel("usage", "--from", "now", "--to", "yesterday").code == 2
    assert "--by: got 'colour', expected one of service" in easel("usage", "--by", "colour").err
    assert easel("usage", "--from", "noonish").code == 2
    assert easel("usage").err.endswith("nothing was used in that time\n")


def test_a_service_that_is_not_there_is_said_and_refused_where_nothing_was_ever_used_of_it(
    easel: CommandLine, fake: FakeAdmin
) -> None:
    refused = easel("usage", "--service", "gone")
    assert (refused.code, refused.out) == (3, "")
    assert refused.err.endswith("no service named 'gone', and nothing was ever used of one\n")

    fake.scaling.usage = pb.GetUsageResponse(sums=[pb.UsageSum(service="gone", instance_ms=HOUR)])
    ran = easel("usage", "--service", "gone")
    assert (ran.code, ran.err) == (0, "there is no service 'gone' now\n")
