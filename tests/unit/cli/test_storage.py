"""Secrets, datasets and images, against an admin API in memory."""

import base64
from pathlib import Path

from easel.common.v1 import common_pb2 as common
from tests.support.command_line import CommandLine
from tests.support.fake_admin import FakeAdmin


def test_values_of_a_secret_come_from_the_line_a_file_and_standard_input_and_are_never_shown(
    easel: CommandLine, fake: FakeAdmin, tmp_path: Path
) -> None:
    (tmp_path / "key").write_text("k3y\n")

    line = ("secret", "set", "s3", "id=AK1A", "--from-file", f"key={tmp_path / 'key'}", "--stdin", "pass")
    ran = easel(*line, stdin="pa55\n")

    assert ran.code == 0
    assert fake.secret_values["s3"] == {"id": "AK1A", "key": "k3y\n", "pass": "pa55"}
    assert "s3 has id, key, pass; refer to a value as secret://s3/KEY" in ran.err
    shown = ran.out + ran.err + easel("secret", "ls").out + easel("secret", "ls", "-o", "json").out
    assert not any(value in shown for value in ("AK1A", "k3y", "pa55"))


def test_a_value_on_the_command_line_is_warned_of_and_one_from_elsewhere_is_not(easel: CommandLine) -> None:
    assert "`easel secret set s3 --stdin id` is not" in easel("secret", "set", "s3", "id=x").err
    assert "warning" not in easel("secret", "set", "s3", "--stdin", "id", stdin="x").err
    plain = ("endpoint=http://s", "region=r", "addressing=path", "access_key_id=AK1A")
    assert "warning" not in easel("secret", "set", "oss-store", *plain).err
    assert "--stdin secret_access_key" in easel("secret", "set", "oss", *plain, "secret_access_key=x").err


def test_keys_stay_are_removed_or_go_with_what_is_replaced(easel: CommandLine, fake: FakeAdmin) -> None:
    easel("secret", "set", "s3", "a=1", "b=2", "c=3")

    easel("secret", "set", "s3", "b=")
    assert set(fake.secret_values["s3"]) == {"a", "c"}
    easel("secret", "set", "s3", "d=4", "--replace")
    assert set(fake.secret_values["s3"]) == {"d"}


def test_a_value_that_was_given_without_its_key_is_not_repeated(easel: CommandLine) -> None:
    ran = easel("secret", "set", "s3", "hunter2")

    assert ran.code == 2 and "hunter2" not in ran.err


def test_a_secret_of_nothing_or_of_one_key_twice_is_refused(easel: CommandLine, tmp_path: Path) -> None:
    assert easel("secret", "set", "s3").code == 2
    assert easel("secret", "set", "s3", "a=1", "--stdin", "a", stdin="2").code == 2
    assert easel("secret", "set", "s3", "--stdin", "a", stdin="").code == 4
    assert easel("secret", "set", "s3", "--from-file", f"a={tmp_path / 'none'}").code == 4


def test_a_secret_is_deleted_once(easel: CommandLine) -> None:
    easel("secret", "set", "s3", "a=1")

    assert easel("secret", "rm", "s3").code == 0
    assert easel("secret", "rm", "s3").code == 3
    assert "no secret yet" in easel("secret", "ls").err


def test_whoever_uses_a_changed_secret_is_named(easel: CommandLine, fake: FakeAdmin) -> None:
    easel("secret", "set", "s3", "a=1")
    fake.secrets["s3"].used_by.append("echo")

    assert "echo" in easel("secret", "set", "s3", "a=2").err


def test_datasets_are_registered_in_versions_listed_and_forgotten(
    easel: CommandLine, fake: FakeAdmin, tmp_path: Path
) -> None:
    (tmp_path / "corpus.json").write_text('{"oss": {"path": "oss://data/corpus/"}}')

    first = easel("dataset", "create", "corpus", "-f", str(tmp_path / "corpus.json"))
    second = easel("dataset", "create", "corpus", "--json", '{"nfs": {}}', "--description", "newer")
    named = easel("dataset", "create", "corpus", "--json", "{}", "--version", "golden", "-o", "json")

    assert first.err == "corpus is registered at version 1\n"
    assert second.err == "corpus is registered at version 2\n"
    assert (named.value["version"], named.value["source"]) == ("golden", {})
    assert '{"oss": {"path": "oss://data/corpus/"}}' in easel("dataset", "ls").out
    assert easel("dataset", "rm", "corpus", "1").err == "corpus 1 is forgotten\n"
    assert easel("dataset", "rm", "corpus", "1").code == 3
    assert easel("dataset", "create", "corpus").code == 2


def test_an_image_is_fetched_to_every_node_of_a_group(easel: CommandLine, fake: FakeAdmin) -> None:
    fake.add_node("n1", runtime=common.RUNTIME_DOCKER)

    ran = easel("image", "pull", "llm:2", "--on", "public", "--auth", "secret://registry/auth", "--wait")

    assert ran.code == 0 and "warning" not in ran.err
    assert ran.out.splitlines()[1].split()[-5:] == ["n1", "Ready", "it", "is", "there"]
    assert "PullImage with secret://registry/auth" in fake.calls
    assert easel("image", "rm", "pull-1").err == "pull-1 is deleted; nodes keep the image\n"
    assert easel("image", "rm", "pull-1").code == 3


def test_a_node_that_cannot_fetch_an_image_fails_the_wait_with_its_reason(
    easel: CommandLine, fake: FakeAdmin
) -> None:
    fake.add_node("n1", runtime=common.RUNTIME_DOCKER)
    fake.add_node("bad-1", runtime=common.RUNTIME_DOCKER)

    ran = easel("image", "pull", "none:1", "--on", "public", "--wait")

    assert ran.code == 1
    assert ran.err.splitlines()[-1] == ("easel: none:1 is not on every node of public: bad-1: no such image")
    assert [each["failed"] for each in easel("image", "ls", "-o", "json").value[0]["nodes"]] == [False, True]


def test_nodes_without_containers_are_not_waited_for(easel: CommandLine, fake: FakeAdmin) -> None:
    fake.add_node("n1")

    ran = easel("image", "pull", "a:1", "--on", "public", "--wait")

    assert (ran.code, ran.err.splitlines()[-1]) == (
        4,
        "easel: no node of public runs containers, so none has images",
    )


def test_a_login_is_read_from_standard_input_and_warned_of_on_the_line(
    easel: CommandLine, fake: FakeAdmin
) -> None:
    login = base64.b64encode(b"me:pa55").decode()

    typed = easel("image", "pull", "a:1", "--on", "public", "--auth", login)
    piped = easel("image", "pull", "a:1", "--on", "public", "--auth", "-", stdin="me:pa55\n")

    assert "warning: a password on a command line" in typed.err and "warning" not in piped.err
    assert fake.calls.count(f"PullImage with {login}") == 2
    assert easel("image", "pull", "a:1", "--on", "public", "--auth", "-", stdin="me").code == 2


def test_a_group_that_does_not_exist_is_refused(easel: CommandLine) -> None:
    assert easel("image", "pull", "a:1", "--on", "gone").code == 3
