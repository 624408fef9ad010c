"""Planning, staging and steering updates, against an admin API in memory."""

import json
import re
from datetime import timedelta

import pytest

from easel.admin.v1 import admin_pb2 as pb
from tests.support.command_line import CommandLine
from tests.support.fake_admin import FakeAdmin, Fate


@pytest.fixture
def echo(easel: CommandLine, echo_file: str) -> CommandLine:
    """A command line to a scheduler that has a service called echo."""
    assert easel("create", echo_file).code == 0
    return easel


def test_a_plan_shows_each_change_before_and_after_and_changes_nothing(
    echo: CommandLine, fake: FakeAdmin
) -> None:
    before = fake.services["echo"].SerializeToString(deterministic=True)

    ran = echo("modify", "echo", "-D", "containers.0.port=9000", "--plan")

    assert ran.code == 0
    assert '[{"port": 8000}]  →  [{"port": 9000}]' in ran.out
    assert "  1. a new instance is started" in ran.out
    assert ran.out.endswith("echo would be at version 2; instances are replaced\n")
    assert fake.services["echo"].SerializeToString(deterministic=True) == before


def test_a_plan_of_what_is_there_already_says_so(echo: CommandLine) -> None:
    ran = echo("modify", "echo", "-D", "containers.0.port=8000", "--plan")

    assert "the service.json is like that already" in ran.out
    assert "no instance is replaced" in ran.out


def test_a_plan_as_json_is_for_programs(echo: CommandLine) -> None:
    told = echo("version", "echo", "1", "--plan", "-o", "json").value

    assert set(told) == {"changes", "version", "rolls", "steps", "warnings"}


def test_a_value_inside_an_array_is_sent_in_the_whole_array_for_the_revision_it_was_read_at(
    echo: CommandLine, fake: FakeAdmin
) -> None:
    revision = fake.services["echo"].revision

    assert echo("modify", "echo", "-D", "containers.0.image=a:2").code == 0

    (update,) = fake.updates
    assert json.loads(update.spec_json) == {"containers": [{"port": 8000, "image": "a:2"}]}
    assert update.if_revision == revision


def test_stages_are_asked_for_as_options(echo: CommandLine, fake: FakeAdmin) -> None:
    echo("modify", "echo", "-D", "x=1", "--batch", "25%", "--interval", "5m", "--paused")
    echo("version", "echo", "1", "--partition", "1")

    batches, partition = (update.plan for update in fake.updates)
    assert (batches.batch_size, batches.paused) == ("25%", True)
    assert batches.interval.ToTimedelta() == timedelta(minutes=5)
    assert (partition.partition, partition.HasField("interval")) == ("1", False)


def test_without_stages_the_service_json_decides(echo: CommandLine, fake: FakeAdmin) -> None:
    echo("modify", "echo", "-D", "x=1")

    assert not fake.updates[0].HasField("plan")


def test_a_wait_ends_where_the_plan_holds_the_update_up(echo: CommandLine) -> None:
    ran = echo("modify", "echo", "-D", "x=1", "--partition", "1", "--wait")

    assert ran.code == 0
    assert "version 1 → 2, Paused, 1 of 2 updated" in ran.err
    assert ran.out == (
        "echo is Updating: 2 of 2 instances ready; 1 instance is updated; the rest waits for a promote\n"
    )


def test_an_update_is_looked_at_replanned_and_promoted(echo: CommandLine, fake: FakeAdmin) -> None:
    echo("modify", "echo", "-D", "x=1", "--partition", "1")

    shown = echo("rollout", "status", "echo").out
    listed = echo("ls").out
    described = echo("desc", "echo").out
    again = echo("rollout", "set", "echo", "--batch", "1", "--interval", "1h")
    promoted = echo("rollout", "promote", "echo", "--wait")

    for part in ("Paused", "1 → 2", "1 of 2 instances", "1 stay at the version before until it is promoted"):
        assert part in shown
    assert "1 → 2, Paused, 1 of 2 updated" in listed
    assert "plan: 1 stay at the version before until it is promoted" in described
    assert again.err == "echo: batches of 1, 1h between them\n"
    assert promoted.code == 0
    assert echo("rollout", "status", "echo", "-o", "json").value["phase"] == "Completed"
    assert "UPDATE" not in echo("ls").out


def test_an_update_is_undone(echo: CommandLine, fake: FakeAdmin) -> None:
    echo("modify", "echo", "-D", "x=1", "--partition", "1")

    undone = echo("rollout", "undo", "echo", "--wait")

    assert undone.code == 0 and "echo goes back from version 2 to version 1" in undone.err
    assert fake.services["echo"].version == 1


def test_a_change_that_changes_nothing_says_so(echo: CommandLine) -> None:
    ran = echo("modify", "echo", "-D", "containers.0.port=8000")

    assert (ran.code, ran.err) == (0, "nothing changes: echo stays at version 1\n")


def test_a_promote_says_that_the_rest_is_on_its_way(echo: CommandLine) -> None:
    echo("modify", "echo", "-D", "x=1", "--partition", "1")

    assert echo("rollout", "promote", "echo").err == "the rest of echo is being updated\n"


@pytest.mark.parametrize("because", ["", "echo-2: exited with code 3"])
def test_a_wait_for_a_version_that_is_taken_back_says_why_and_shows_what_it_wrote(
    echo: CommandLine, fake: FakeAdmin, because: str
) -> None:
    why = because or "echo-2: exited with code 3"

    def back() -> None:
        fake.fate = Fate.READY
        fake.take_back("echo", why, because)

    fake.fate, fake.after_answer["StreamInstanceLogs"] = Fate.CRASHES, back
    ran = echo("modify", "echo", "-D", "x=1", "--wait")

    assert ran.code == 1
    assert ran.err.splitlines()[-1] == (f"easel: echo did not get there: version 1 is in force by now: {why}")
    assert re.search(r"the end of what echo-[34] wrote:\n  \| Traceback: no module named flask", ran.err)
    assert ("because" in echo("rollout", "status", "echo").out) is bool(because)


def test_an_update_is_followed_to_its_end(echo: CommandLine) -> None:
    echo("modify", "echo", "-D", "x=1")

    followed = echo("rollout", "status", "echo", "--watch")

    assert followed.code == 0 and "Completed" in followed.out


def test_an_update_that_fails_while_it_is_watched_fails_the_command(
    echo: CommandLine, fake: FakeAdmin
) -> None:
    echo("modify", "echo", "-D", "x=1")
    fake.services["echo"].rollout.phase = pb.ROLLOUT_PHASE_FAILED

    assert echo("rollout", "status", "echo", "--watch").code == 1
    assert echo("rollout", "status", "echo").code == 0


def test_an_update_that_goes_back_while_it_is_watched_fails_the_command(
    echo: CommandLine, fake: FakeAdmin
) -> None:
    echo("modify", "echo", "-D", "x=1", "--partition", "1")
    why = "echo-3: it crashed"
    fake.after_answer["GetService"] = lambda: fake.take_back("echo", why, why)

    watched = echo("rollout", "status", "echo", "--watch")

    assert watched.code == 1 and "echo-3: it crashed" in watched.out
    assert echo("rollout", "status", "echo", "--watch").code == 0


def test_a_service_that_was_never_updated_says_so(echo: CommandLine) -> None:
    assert echo("rollout", "status", "echo").err == "echo was not updated yet\n"
    assert echo("rollout", "status", "echo", "-o", "json").value is None
    assert echo("rollout", "pause", "echo").code == 4


def test_a_new_plan_needs_something_that_is_new(echo: CommandLine) -> None:
    assert echo("rollout", "set", "echo").code == 2


def test_versions_tell_which_is_in_force_and_which_is_stable(echo: CommandLine) -> None:
    echo("modify", "echo", "-D", "x=1", "--partition", "1")

    rows = [line.split() for line in echo("versions", "echo").out.splitlines()]

    assert rows[0] == ["VERSION", "IS", "AGE", "WHY"]
    assert rows[1][:2] == ["1", "stable"] and rows[2][:3] == ["2", "in", "force"]


def test_a_clone_is_a_service_of_its_own(echo: CommandLine, fake: FakeAdmin) -> None:
    ran = echo("clone", "echo", "copy", "-D", "containers.0.port=9000", "--wait")

    assert ran.code == 0 and "copy is created from echo" in ran.err
    assert "api/predict/copy" in ran.out
    assert json.loads(fake.services["copy"].spec_json)["containers"] == [{"port": 9000}]
    assert echo("clone", "echo", "again").code == 0


def test_a_lock_is_set_shown_and_ended(echo: CommandLine, fake: FakeAdmin) -> None:
    locked = echo("lock", "echo", "dangerous")

    assert locked.err == "echo refuses to be stopped and deleted\n"
    assert fake.services["echo"].safety_lock == pb.SAFETY_LOCK_DANGEROUS
    assert "dangerous: it refuses to be stopped and deleted" in echo("desc", "echo").out
    assert "LOCK" in echo("ls").out
    assert echo("lock", "echo", "none", "-o", "json").value["safety_lock"] == "none"
    assert "LOCK" not in echo("ls").out


def test_labels_are_set_and_removed(echo: CommandLine, fake: FakeAdmin) -> None:
    assert echo("label", "echo", "team=nlp", "tier=a-").err == "echo: team=nlp, tier=a-\n"
    assert echo("label", "echo", "team-").err == "echo: tier=a-\n"
    assert echo("label", "echo", "nonsense").code == 2
