"""The commands on services, against an admin API in memory."""

import json
from pathlib import Path

import yaml

from tests.support.command_line import CommandLine
from tests.support.fake_admin import ADMIN_TOKEN, FakeAdmin, Fate


def test_a_created_service_is_listed_with_its_state_and_reason(easel: CommandLine, echo_file: str) -> None:
    created = easel("create", echo_file)
    listed = easel("ls")

    assert created.code == 0 and "echo is created" in created.err
    header, row = listed.out.splitlines()
    assert header.split() == ["NAME", "STATE", "READY", "VERSION", "AGE", "WHY"]
    assert row.split()[:4] == ["echo", "Running", "2/2", "1"]
    assert row.endswith("2 of 2 instances are ready") or "2 of 2 instances are ready" in row


def test_waiting_for_a_service_ends_with_how_to_call_it(easel: CommandLine, echo_file: str) -> None:
    ran = easel("create", echo_file, "--wait")

    assert ran.code == 0
    assert "echo-1 is ready on n1" in ran.err
    assert "Running: 2 of 2 ready (2 ready)" in ran.err
    assert ran.out.splitlines() == [
        "echo is Running: 2 of 2 instances ready",
        "  endpoint  http://127.0.0.1:8800/api/predict/echo",
        "  token     easel token service echo",
        '  try it    curl -H "Authorization: $(easel token service echo)" '
        "http://127.0.0.1:8800/api/predict/echo",
    ]


def test_a_service_that_crashes_fails_the_wait_with_its_reason_and_its_last_words(
    easel: CommandLine, fake: FakeAdmin, echo_file: str
) -> None:
    fake.fate = Fate.CRASHES

    ran = easel("create", echo_file, "--wait")

    assert ran.code == 1
    assert ran.err.splitlines()[-1] == "easel: echo did not get there: instance crashed: exited with code 3"
    assert "| Traceback: no module named flask" in ran.err


def test_a_wait_that_takes_too_long_says_what_it_waits_for(
    easel: CommandLine, fake: FakeAdmin, echo_file: str
) -> None:
    fake.fate = Fate.STUCK

    ran = easel("create", echo_file, "--wait", "--timeout", "0.3")

    assert ran.code == 6
    assert ran.err.splitlines()[-1] == (
        "easel: echo is not there after 0.3 s: Waiting: 0 of 2 ready (2 pending); "
        "public (1 node): needs 64 CPUs, largest free is 2"
    )


def test_a_wait_for_what_no_node_of_this_machine_can_hold_ends_at_once(
    easel: CommandLine, fake: FakeAdmin, echo_file: str
) -> None:
    fake.fate = Fate.STUCK
    fake.add_node("n1").capacity.cpu_milli = 500
    easel.knows(scheduler=fake.address, token=ADMIN_TOKEN, data_dir="/somewhere")

    ran = easel("create", echo_file, "--wait")

    assert ran.code == 1
    assert ran.err.splitlines()[-1] == (
        "easel: echo did not get there: no node of resource group public could hold echo-1 "
        "even if it were empty; change the service, or add a node"
    )


def test_a_wait_for_a_node_that_may_join_says_so_and_goes_on(
    easel: CommandLine, fake: FakeAdmin, echo_file: str
) -> None:
    fake.fate = Fate.STUCK
    fake.add_node("n1").capacity.cpu_milli = 500

    ran = easel("create", echo_file, "--wait", "--timeout", "1")

    assert ran.code == 6
    assert "this waits for one that joins (Ctrl-C ends the wait, not the service)" in ran.err


def test_warnings_about_the_spec_are_shown_and_do_not_fail_the_command(
    easel: CommandLine, tmp_path: Path
) -> None:
    (tmp_path / "odd.json").write_text('{"name": "odd", "x-y": 1}')

    ran = easel("create", str(tmp_path / "odd.json"))

    assert ran.code == 0
    assert "warning: x-y: unknown key, kept without effect" in ran.err


def test_a_refused_spec_is_one_sentence_and_its_exit_code(easel: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text("{")

    ran = easel("create", str(tmp_path / "bad.json"))

    assert (ran.code, ran.out) == (4, "")
    assert ran.err == "easel: $: got '{', expected a JSON object\n"


def test_a_file_that_is_not_there_is_one_sentence(easel: CommandLine) -> None:
    ran = easel("create", "nowhere.json")

    assert ran.code == 4
    assert ran.err.startswith("easel: file: got 'nowhere.json', expected a service.json that can be read")


def test_single_values_are_merged_as_dotted_paths(
    easel: CommandLine, fake: FakeAdmin, echo_file: str
) -> None:
    easel("create", echo_file)

    ran = easel("modify", "echo", "-D", "metadata.instance=3", "-D", "metadata.memory=40Gi")

    assert ran.code == 0 and "echo is changed; it is at version 2" in ran.err
    assert json.loads(fake.specs["echo"][1])["metadata.memory"] == "40Gi"
    assert json.loads(fake.specs["echo"][1])["metadata.instance"] == 3


def test_a_replacing_file_leaves_nothing_of_the_spec_before(
    easel: CommandLine, fake: FakeAdmin, echo_file: str, tmp_path: Path
) -> None:
    easel("create", echo_file)
    (tmp_path / "new.json").write_text('{"name": "echo", "metadata": {"instance": 1}}')

    ran = easel("modify", "echo", "-f", str(tmp_path / "new.json"), "--replace", "--wait")

    assert ran.code == 0
    assert json.loads(fake.specs["echo"][1]) == {"name": "echo", "metadata": {"instance": 1}}


def test_modify_wants_either_a_file_or_values(easel: CommandLine) -> None:
    assert easel("modify", "echo").code == 2
    assert easel("modify", "echo", "-D", "no-value").code == 2


def test_versions_are_listed_and_rolled_to(easel: CommandLine, fake: FakeAdmin, echo_file: str) -> None:
    easel("create", echo_file)
    easel("modify", "echo", "-D", "x=1")

    rolled = easel("version", "echo", "1", "--wait")

    assert rolled.code == 0
    assert fake.services["echo"].version == 1
    told = easel("version", "echo", "-o", "json").value
    assert [(each["number"], each["in_force"]) for each in told] == [(1, True), (2, False)]
    assert "newest: 2" in easel("desc", "echo").out


def test_scaling_stopping_starting_and_restarting_say_where_it_goes(
    easel: CommandLine, fake: FakeAdmin, echo_file: str
) -> None:
    easel("create", echo_file)

    scaled = easel("scale", "echo", "3", "--wait")
    restarted = easel("restart", "echo", "--wait")
    stopped = easel("stop", "echo", "--wait")
    started = easel("start", "echo", "--wait")

    assert [each.code for each in (scaled, restarted, stopped, started)] == [0, 0, 0, 0]
    assert "echo is Running: 3 of 3 instances ready" in scaled.out
    assert "echo is Stopped" in stopped.out
    assert "echo is Running" in started.out


def test_who_scales_in_may_name_the_instances_that_go(
    easel: CommandLine, fake: FakeAdmin, echo_file: str
) -> None:
    easel("create", echo_file)

    assert easel("scale", "echo", "3").code == 0
    assert fake.told_to_go == []
    assert easel("scale", "echo", "1", "--delete", "i-2", "--delete", "i-1").code == 0
    assert fake.told_to_go == ["i-2", "i-1"]


def test_a_wait_for_0_instances_ends_whatever_the_service_is_called_then(
    easel: CommandLine, fake: FakeAdmin, echo_file: str
) -> None:
    easel("create", echo_file)

    ran = easel("scale", "echo", "0", "--wait", "--timeout", "20")

    assert ran.code == 0 and "echo is Stopped" in ran.out


def test_a_deleted_service_is_gone_and_its_name_unknown(easel: CommandLine, echo_file: str) -> None:
    easel("create", echo_file)

    deleted = easel("delete", "echo", "--wait")
    described = easel("desc", "echo")

    assert (deleted.code, deleted.err) == (0, "echo is deleted\n")
    assert (described.code, described.err) == (3, "easel: no service named 'echo'\n")


def test_a_description_shows_why_instances_wait(easel: CommandLine, fake: FakeAdmin, echo_file: str) -> None:
    fake.fate = Fate.STUCK
    easel("create", echo_file)

    ran = easel("desc", "echo")

    for part in (
        "waiting for a node with 64 CPUs",
        "0 of 2 ready, 2 pending",
        "  public (1 node): needs 64 CPUs, largest free is 2",
        "each instance    cpu 1",
        "echo-2",
        "ServiceCreated",
    ):
        assert part in ran.out


def test_json_output_has_every_field_under_a_stable_name(easel: CommandLine, echo_file: str) -> None:
    easel("create", echo_file)

    (service,) = easel("ls", "-o", "json").value

    assert list(service) == [
        "name", "id", "state", "why", "version", "running_version", "wanted", "ready", "pending", "total",
        "resource_group", "endpoint", "labels", "created_at", "updated_at", "revision", "pending_reasons",
        "spec", "safety_lock", "latest_version", "rollout", "delete_at",
            "group", "traffic_state", "weight", "traffic_share", "gateway",
    ]  # fmt: skip
    assert service["created_at"].endswith("Z")
    assert set(easel("desc", "echo", "-o", "json").value) == {"service", "gateway", "instances", "events"}


def test_yaml_output_says_the_same_as_json(easel: CommandLine, echo_file: str) -> None:
    easel("create", echo_file)

    assert yaml.safe_load(easel("ls", "-o", "yaml").out) == easel("ls", "-o", "json").value


def test_writes_answer_with_the_service_when_asked_for_json(easel: CommandLine, echo_file: str) -> None:
    created = easel("create", echo_file, "--wait", "-o", "json")
    scaled = easel("scale", "echo", "1", "-o", "json")
    deleted = easel("delete", "echo", "-o", "json")

    assert created.value["state"] == "Running"
    assert scaled.value["wanted"] == 1
    assert deleted.value == {"deleted": "echo"}


def test_an_empty_list_says_what_to_do_next(easel: CommandLine) -> None:
    assert easel("ls").err == "no service yet; `easel create FILE` makes one of a service.json\n"
    assert easel("ls", "-o", "json").value == []
