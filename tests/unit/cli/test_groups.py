"""Groups on the command line, against an admin API in memory."""

import pytest

from cli.commands.groups import rule_of
from easel.admin.v1 import admin_pb2 as pb
from easel_sdk.types import MemberRule
from tests.support.command_line import CommandLine
from tests.support.fake_admin import FakeAdmin


@pytest.fixture
def llm(fake: FakeAdmin) -> FakeAdmin:
    """A group called llm: v1 takes its requests, v2 does not."""
    for name in ("llm-v1", "llm-v2"):
        fake.create(f'{{"name": "{name}", "metadata": {{"group": "llm", "instance": 2}}}}', "")
    fake.services["llm-v1"].traffic_state = pb.TRAFFIC_STATE_GROUPING
    return fake


def test_a_group_is_created_listed_described_and_deleted(easel: CommandLine) -> None:
    made = easel("group", "create", "llm", "--mode", "customized", "--gateway", "edge", "-l", "team=nlp")

    assert made.code == 0
    assert made.err == 'llm is created; a service joins it with "metadata": {"group": "llm"}\n'
    assert "easel group token llm" in made.out
    told = easel("group", "desc", "llm", "-o", "json").value
    assert (told["traffic_mode"], told["gateway"], told["labels"]) == ("customized", "edge", {"team": "nlp"})
    assert "no member" in easel("group", "desc", "llm").out
    assert easel("group", "create", "llm").code == 4
    assert easel("group", "delete", "llm").err == "llm is deleted\n"
    assert easel("group", "delete", "llm").code == 3


def test_members_are_shown_with_state_weight_ready_instances_and_share(
    easel: CommandLine, llm: FakeAdmin
) -> None:
    rows = easel("group", "desc", "llm").out.splitlines()

    assert [row.split() for row in rows[-2:]] == [
        ["llm-v1", "grouping", "by", "instances", "2", "100%"],
        ["llm-v2", "standalone", "by", "instances", "2", "0%"],
    ]
    assert "llm-v1 100%, 1 standalone" in easel("group", "ls").out
    assert "until its last member leaves" in easel("group", "desc", "llm").out


def test_a_member_shows_its_group_where_services_are_listed_and_described(
    easel: CommandLine, llm: FakeAdmin
) -> None:
    llm.create('{"name": "apart", "networking": {"gateway": "edge"}}', "")
    easel("group", "desc", "llm")

    header, *rows = easel("ls").out.splitlines()

    assert header.split() == ["NAME", "STATE", "READY", "VERSION", "GROUP", "GATEWAY", "AGE", "WHY"]
    assert rows[0].split()[4:6] == ["llm", "100%"] and rows[1].split()[4:6] == ["llm", "standalone"]
    described = easel("desc", "llm-v1").out
    assert "grouping: 100% of the group's requests, weight by instances" in described
    assert "standalone: none of the group's requests" in easel("desc", "llm-v2").out
    assert "edge" in easel("desc", "apart").out and "traffic" not in easel("desc", "apart").out
    told = easel("ls", "-o", "json").value[0]
    assert (told["group"], told["traffic_state"], told["weight"]) == ("llm", "grouping", -1)
    assert (told["traffic_share"], told["gateway"]) == (1.0, "gateway")


def test_rules_stickiness_and_labels_are_set_and_removed(easel: CommandLine, llm: FakeAdmin) -> None:
    set_ = easel(
        *("group", "set", "llm", "--mode", "customized", "--sticky-header", "x-user", "-l", "team=nlp"),
        *("--rule", "llm-v2=header:x-tester=yes", "--rule", "llm-v2=cookie:beta"),
    )

    assert (set_.code, set_.err) == (0, "llm is changed\n")
    described = easel("group", "desc", "llm").out
    assert "header x-tester 'yes' → llm-v2" in described and "cookie beta → llm-v2" in described
    assert "customized: by the weights" in described and "header x-user" in described
    easel("group", "set", "llm", "--no-rules", "--sticky-header", "", "--sticky-cookie", "member")
    told = easel("group", "desc", "llm", "-o", "json").value
    assert (told["rules"], told["sticky_header"], told["sticky_cookie"]) == ([], "", "member")
    assert told["traffic_mode"] == "customized"


def test_a_group_is_not_changed_by_nothing_or_by_contradictions(easel: CommandLine, llm: FakeAdmin) -> None:
    assert easel("group", "set", "llm").code == 2
    assert easel("group", "set", "llm", "--rule", "llm-v2=header:x", "--no-rules").code == 2
    assert easel("group", "set", "llm", "--mode", "odd").code == 2
    refused = easel("group", "set", "llm", "--rule", "llm-v2:x-tester")
    assert refused.code == 2
    assert refused.err.startswith("easel: --rule: got 'llm-v2:x-tester', expected SERVICE=header:NAME")


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("b=header:x-tester", MemberRule("b", header="x-tester")),
        ("b=header:x-tester=a=b", MemberRule("b", header="x-tester", value="a=b")),
        ("b=cookie:beta=1", MemberRule("b", cookie="beta", value="1")),
    ],
)
def test_a_rule_names_a_member_and_what_a_request_shows(text: str, rule: MemberRule) -> None:
    assert rule_of(text) == rule


def test_members_are_deleted_with_their_group_only_when_somebody_says_so(
    easel: CommandLine, llm: FakeAdmin
) -> None:
    line = ("group", "delete", "llm", "--cascade")

    refused = easel("group", "delete", "llm")
    nobody = easel(*line)
    declined = easel(*line, stdin="n\n")
    left = set(llm.services)
    agreed = easel(*line, stdin="y\n")

    assert (refused.code, refused.err) == (4, "easel: group llm has members: llm-v1, llm-v2\n")
    assert nobody.code == 2 and "--yes" in nobody.err
    assert declined.code == 1 and "llm-v1, llm-v2" in declined.err
    assert left == {"llm-v1", "llm-v2"}
    assert agreed.err.endswith("llm is deleted, with llm-v1, llm-v2\n") and not llm.services


def test_yes_beforehand_is_not_asked_about(easel: CommandLine, llm: FakeAdmin) -> None:
    ran = easel("group", "delete", "llm", "--cascade", "--yes", "-o", "json")

    assert ran.value == {"deleted": "llm", "services": ["llm-v1", "llm-v2"]}


def test_a_groups_token_can_be_pasted_into_a_header(easel: CommandLine, llm: FakeAdmin) -> None:
    assert easel("group", "token", "llm").out == "token-of-llm\n"
    assert easel("group", "token", "none").code == 3
    assert easel("group", "token", "llm", "-o", "json").value == {"group": "llm", "token": "token-of-llm"}


def test_services_outside_the_public_resource_group_are_listed_with_theirs(
    easel: CommandLine, fake: FakeAdmin
) -> None:
    fake.create('{"name": "echo", "metadata": {"resource": "lab"}}', "")

    header, row = easel("ls").out.splitlines()

    assert header.split()[4] == "RESOURCE" and row.split()[4] == "lab"
