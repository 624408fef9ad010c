"""Instances, logs, events, nodes, resource groups and tokens, against an admin API in memory."""

import json

from easel.common.v1 import common_pb2 as common
from tests.support.command_line import CommandLine
from tests.support.fake_admin import FakeAdmin, Fate


def test_instances_are_listed_with_where_they_run(easel: CommandLine, echo_file: str) -> None:
    easel("create", echo_file)

    rows = easel("w", "echo").out.splitlines()[1:]

    assert [row.split()[:6] for row in rows] == [
        ["echo-1", "Running", "yes", "1", "n1", "127.0.0.1:20001"],
        ["echo-2", "Running", "yes", "1", "n1", "127.0.0.1:20002"],
    ]


def test_instances_of_an_unknown_service_are_not_just_none(easel: CommandLine) -> None:
    assert easel("w", "gone").code == 3
    assert easel("w").code == 0


def test_logs_of_an_instance_come_as_they_were_written(easel: CommandLine, echo_file: str) -> None:
    easel("create", echo_file)

    assert easel("logs", "echo-1", "-n", "2").out == "line 2\nline 3\n"


def test_logs_of_a_service_name_the_instance_on_each_line(easel: CommandLine, echo_file: str) -> None:
    easel("create", echo_file)

    lines = easel("logs", "echo", "-n", "1").out.splitlines()

    assert sorted(lines) == ["echo-1 | line 3", "echo-2 | line 3"]


def test_logs_as_json_are_one_object_a_line(easel: CommandLine, echo_file: str) -> None:
    easel("create", echo_file)

    lines = easel("logs", "echo-1", "-n", "1", "-o", "json").out.splitlines()

    assert [json.loads(line) for line in lines] == [{"instance": "echo-1", "line": "line 3"}]


def test_logs_of_what_does_not_exist_are_refused(easel: CommandLine) -> None:
    ran = easel("logs", "gone")

    assert (ran.code, ran.err) == (3, "easel: no instance and no service named 'gone'\n")


def test_events_are_shown_oldest_first_and_no_more_than_asked(
    easel: CommandLine, fake: FakeAdmin, echo_file: str
) -> None:
    fake.fate = Fate.CRASHES
    easel("create", echo_file)

    events = easel("events", "echo", "-o", "json").value

    assert [each["reason"] for each in events] == ["ServiceCreated", "InstanceCrashed", "InstanceCrashed"]
    assert events[1]["kind"] == "Warning"
    assert len(easel("events", "-n", "1", "-o", "json").value) == 1


def test_a_node_is_listed_described_cordoned_labelled_moved_and_drained(
    easel: CommandLine, fake: FakeAdmin
) -> None:
    fake.add_node("n1")
    easel("resource", "create", "gpus")

    assert "0/2 CPU  0Mi/4.0Gi" in easel("node", "ls").out
    assert "none: no NVIDIA driver on this host" in easel("node", "desc", "n1").out
    assert "n1 is cordoned: new disk" in easel("node", "cordon", "n1", "--why", "new disk").err
    assert "Ready,cordoned" in easel("node", "ls").out
    assert easel("node", "uncordon", "n1").code == 0
    assert easel("node", "label", "n1", "rack=7", "-o", "json").value["labels"] == {"rack": "7"}
    assert easel("node", "label", "n1", "rack=", "-o", "json").value["labels"] == {}
    assert "n1 is in resource group gpus" in easel("node", "move", "n1", "gpus").err
    assert easel("node", "drain", "n1").err == "n1 is drained: no instance is on it\n"


def test_a_node_that_still_holds_instances_is_not_deleted(easel: CommandLine, fake: FakeAdmin) -> None:
    fake.add_node("n1", instances=2)
    refused = easel("node", "delete", "n1")
    fake.nodes["n1"].state = common.NODE_STATE_LOST

    assert (refused.code, refused.err) == (4, "easel: node n1 holds 2 instances; drain it first\n")
    assert easel("node", "delete", "n1").code == 0


def test_resource_groups_are_made_changed_described_and_deleted(easel: CommandLine, fake: FakeAdmin) -> None:
    fake.add_node("n1")

    assert easel("resource", "create", "gpus", "-o", "json").value["kind"] == "dedicated"
    assert easel("resource", "create", "gpus").code == 4
    assert easel("resource", "update", "gpus", "--kind", "public").code == 0
    assert "n1" in easel("resource", "desc", "public").out
    assert [each["name"] for each in easel("resource", "ls", "-o", "json").value] == ["public", "gpus"]
    assert easel("resource", "delete", "gpus").code == 0
    assert easel("resource", "delete", "public").code == 4


def test_a_new_tokens_secret_is_shown_once_on_standard_output_alone(easel: CommandLine) -> None:
    made = easel("token", "create", "agent", "--role", "join")
    listed = easel("token", "ls", "-o", "json")

    assert made.out == "secret-of-agent\n"
    assert [(each["id"], each["role"]) for each in listed.value] == [("tok-1", "join")]
    assert "secret" not in listed.out
    assert easel("token", "delete", "tok-1").code == 0
    assert easel("token", "delete", "tok-1").code == 3


def test_a_services_token_can_be_pasted_into_a_header(easel: CommandLine, echo_file: str) -> None:
    easel("create", echo_file)

    assert easel("token", "service", "echo").out == "token-of-echo\n"


def test_a_node_is_draining_until_nothing_is_left_on_it(easel: CommandLine, fake: FakeAdmin) -> None:
    node = fake.add_node("n1", instances=2)
    node.draining, node.schedulable = True, False

    assert "Ready,draining" in easel("node", "ls").out
    node.instances = 0
    assert "Ready,drained" in easel("node", "ls").out
    assert "Ready, drained" in easel("node", "desc", "n1").out
    assert easel("node", "ls", "-o", "json").value[0]["draining"] is True


def test_what_serves_is_listed_against_what_is_wanted_and_what_stands_apart_beside_it(
    easel: CommandLine, fake: FakeAdmin, echo_file: str
) -> None:
    easel("create", echo_file)
    service, first = fake.services["echo"], fake.instances["echo-1"]
    first.isolated, service.ready = True, 1

    assert "1/2, 1 isolated" in easel("ls").out
    assert "1 of 2 ready, 0 pending, 1 isolated" in easel("desc", "echo").out
    first.isolated, first.detached, service.ready, service.total = False, True, 3, 4
    assert "2/2, 1 more, 1 detached" in easel("ls").out
