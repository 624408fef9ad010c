"""What fits where, and nodes that are taken away, against an admin API in memory."""

import json
import re

import pytest

from easel.admin.v1 import scaling_pb2 as pb
from easel.common.v1 import common_pb2 as common
from tests.support.command_line import CommandLine
from tests.support.fake_admin import FakeAdmin

FULL = pb.GroupCapacity(
    resource_group="public",
    kind="public",
    nodes=2,
    fits=3,
    reasons=["2 nodes: lacks 1 CPU"],
    on=[
        pb.NodeCapacity(node="n1", fits=3, why="lacks 1 CPU (0.5 free)"),
        pb.NodeCapacity(node="n2", fits=0, why="lacks 1 CPU (0 free)"),
    ],
)


def test_capacity_says_how_many_fit_and_why_not_more(easel: CommandLine, fake: FakeAdmin) -> None:
    fake.scaling.capacity.append(FULL)

    ran = easel("capacity", "--cpu", "1", "--memory", "2Gi", "--gpus", "1", "--disk", "40", "--nodes")

    (asked,) = fake.scaling.asked
    assert asked.shape.resources == common.Resources(cpu_milli=1000, memory_mib=2048, disk_mib=40_960, gpus=1)
    rows = [row.split("  ") for row in ran.out.splitlines()]
    said = [[cell.strip() for cell in row if cell.strip()] for row in rows]
    assert ["public", "public", "2", "3", "2 nodes: lacks 1 CPU"] in said
    assert ["n2", "0", "lacks 1 CPU (0 free)"] in said
    assert (["public:"] in said, ran.err) == (True, "")


def test_capacity_of_a_service_names_its_tiers(easel: CommandLine, fake: FakeAdmin) -> None:
    own = pb.GroupCapacity(resource_group="lab", tier="own nodes (lab)", fits=2**32 - 1)
    fake.scaling.capacity.append(own)

    ran = easel("capacity", "digits", "-o", "json")

    (asked,) = fake.scaling.asked
    assert (asked.service, asked.HasField("shape")) == ("digits", False)
    (group,) = json.loads(ran.out)
    assert group["tier"] == "own nodes (lab)"
    assert "any number" in easel("capacity", "digits").out


def test_spot_nodes_are_named_where_no_other_public_node_is(easel: CommandLine, fake: FakeAdmin) -> None:
    fake.add_node("n1", spot=True)
    none = pb.GroupCapacity(resource_group="public", tier="public nodes", reasons=["no nodes"])
    fake.scaling.capacity.append(none)

    ran = easel("capacity", "cn-shanghai/digits")

    assert ran.err == (
        "the only public node is a spot node, which a service uses only with `spot_price_limit`\n"
    )
    assert fake.scaling.asked[0].service == "digits"


def test_capacity_needs_a_service_or_a_size_that_can_be_read(easel: CommandLine) -> None:
    assert easel("capacity").code == 2
    both = easel("capacity", "digits", "--cpu", "1")
    assert (both.code, both.err) == (2, "easel: name a service or a shape, not both\n")
    assert "expected a size such as 512Mi or 4Gi" in easel("capacity", "--memory", "much").err


def test_a_node_is_taken_away_and_stays_after_all(easel: CommandLine, fake: FakeAdmin) -> None:
    fake.add_node("n1", instance_type="ecs.spot", price=0.35, spot=True)

    refused = easel("node", "reclaim", "n1", "--in", "2m")
    going = easel("node", "reclaim", "n1", "--in", "2m", "--why", "outbid", "--force")
    described = easel("node", "desc", "n1").out
    listed = easel("node", "ls").out
    stays = easel("node", "reclaim", "n1", "--cancel")

    assert "protected" in refused.err
    assert going.err == "n1 is taken away in 2m: no instance is on it\n"
    assert "taken away" in described
    assert "ecs.spot, spot, 0.35 an hour" in listed
    assert "Ready,going" in listed
    assert re.search(r"taken away at \d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ: outbid", listed)
    assert "n1 stays" in stays.err
    assert (
        easel("node", "reclaim", "n1").code == easel("node", "reclaim", "n1", "--in", "1m", "--cancel").code
    )


@pytest.mark.parametrize(
    ("moving", "room", "hurried", "said"),
    [
        (1, 1, 0, "1 instance moves before"),
        (2, 2, 0, "2 instances move before"),
        (2, 2, 1, "2 instances move; 1 leaves at once, for lack of time"),
        (
            *(2, 0, 0),
            "2 instances have to leave, and none finds room elsewhere now: one without is lost with the node",
        ),
        (
            *(3, 2, 3),
            "3 instances have to leave, and 2 find room elsewhere now: one without is lost with the node; "
            "3 leave at once, for lack of time",
        ),
    ],
)
def test_who_takes_a_node_away_is_told_what_has_nowhere_to_go(
    easel: CommandLine, fake: FakeAdmin, moving: int, room: int, hurried: int, said: str
) -> None:
    fake.add_node("n1")
    fake.leaving = (moving, room, hurried)

    ran = easel("node", "reclaim", "n1", "--in", "2m")

    assert ran.err == f"n1 is taken away in 2m: {said}\n"
