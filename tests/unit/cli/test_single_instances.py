"""Single instances, diagnoses and GPUs, against an admin API in memory."""

import pytest

from easel.admin.v1 import admin_pb2 as pb
from easel.common.v1 import common_pb2 as common
from tests.support.command_line import CommandLine
from tests.support.fake_admin import FakeAdmin

OUT_OF_MEMORY = pb.Finding(
    severity=pb.Finding.SEVERITY_ERROR,
    cause="OutOfMemory",
    what="Its program was killed for using more than 512 MiB.",
    advice="Raise metadata.memory, or let the program use less.",
    subject="echo-1",
    evidence=["loading weights", "Killed"],
)


@pytest.fixture
def echo(easel: CommandLine, echo_file: str) -> CommandLine:
    """A command line to a scheduler that has a service called echo."""
    assert easel("create", echo_file).code == 0
    return easel


def test_a_soft_restart_is_waited_for(echo: CommandLine, fake: FakeAdmin) -> None:
    ran = echo("instance", "restart", "echo-1", "--wait")

    assert (ran.code, ran.err) == (0, "echo-1 is restarting\necho-1 is ready again\n")
    assert fake.instances["echo-1"].run == 1


def test_an_isolated_instance_is_marked_until_it_is_put_back(echo: CommandLine) -> None:
    isolated = echo("instance", "isolate", "echo-1", "--why", "a look inside")

    assert "`easel instance isolate echo-1 --undo` puts it back" in isolated.err
    assert "Running,isolated" in echo("w", "echo").out
    assert echo("instance", "isolate", "echo-1", "--undo", "-o", "json").value["isolated"] is False
    assert "isolated" not in echo("w", "echo").out


def test_a_detached_instance_is_marked(echo: CommandLine) -> None:
    assert "`easel instance delete echo-1` ends it" in echo("instance", "detach", "echo-1").err
    assert "Running,detached" in echo("instance", "desc", "echo-1").out


def test_deleted_instances_are_replaced(echo: CommandLine, fake: FakeAdmin) -> None:
    one = echo("instance", "delete", "echo-1", "--wait")
    more = echo("dw", "echo", "echo-2,echo-3")

    assert (one.code, one.err) == (0, "echo-1 is gone\n")
    assert (more.code, more.err) == (
        0,
        "echo-2, echo-3 are being replaced: stopped once another is ready in place\n",
    )
    assert len(fake.instances) == 2


def test_what_becomes_of_a_deleted_instance_is_told_as_it_is(echo: CommandLine, fake: FakeAdmin) -> None:
    fake.instances["echo-1"].detached = True
    fake.instances["echo-2"].isolated = True

    ran = echo("dw", "echo", "echo-1", "echo-2")

    assert ran.err.splitlines() == [
        "echo-1 is being deleted; no other comes for what was detached, one took its place then",
        "echo-2 is being deleted at once, serving nothing; another comes where one is wanted",
    ]


def test_only_instances_of_the_named_service_are_deleted(echo: CommandLine) -> None:
    assert echo("dw", "echo", "other-1").err == "easel: echo has no instance other-1\n"
    assert echo("dw", "gone", "echo-1").code == 3
    assert echo("instance", "restart", "other-1").code == 3


def test_what_is_fetched_and_why_one_leaves_are_shown(echo: CommandLine, fake: FakeAdmin) -> None:
    first, second = fake.instances["echo-1"], fake.instances["echo-2"]
    first.state, first.ready = common.INSTANCE_STATE_PREPARING, False
    first.progress.CopyFrom(common.Progress(what="oss://m/llm", done_bytes=1 << 30, total_bytes=4 << 30))
    second.state, second.why, second.connections = common.INSTANCE_STATE_TERMINATING, "scaled in", 2
    second.cause = "NoRoom"

    rows = echo("desc", "echo").out

    assert "fetching oss://m/llm: 1.0 of 4.0 GiB" in rows
    assert "scaled in (2 open connections)" in rows
    assert "CAUSE" in rows and "NoRoom" in rows


def test_a_diagnosis_reads_as_paragraphs_and_ends_with_a_code_of_its_own(
    echo: CommandLine, fake: FakeAdmin
) -> None:
    note = pb.Finding(severity=pb.Finding.SEVERITY_NOTE, what="It has one instance.", subject="echo")
    fake.findings["echo"] = [OUT_OF_MEMORY, note]

    ran = echo("diagnose", "echo")

    assert ran.code == 8
    assert ran.out.splitlines() == [
        "Error  echo-1: Its program was killed for using more than 512 MiB. (OutOfMemory)",
        "  Raise metadata.memory, or let the program use less.",
        "    | loading weights",
        "    | Killed",
        "",
        "Note  It has one instance.",
    ]


def test_nothing_wrong_is_said_and_ends_with_0(echo: CommandLine, fake: FakeAdmin) -> None:
    fake.findings["echo-2"] = [pb.Finding(severity=pb.Finding.SEVERITY_WARNING, what="It was slow to start.")]

    assert (echo("diagnose", "echo").code, echo("diagnose", "echo").out) == (
        0,
        "nothing is wrong with echo\n",
    )
    assert echo("diagnose", "echo-1").out == "nothing is wrong with echo-1\n"
    assert echo("diagnose", "echo-2").code == 0
    assert echo("diagnose", "echo", "-o", "json").value == []


def test_an_instance_is_diagnosed_by_its_name(echo: CommandLine, fake: FakeAdmin) -> None:
    fake.findings["echo-1"] = [OUT_OF_MEMORY]

    assert echo("diagnose", "echo-1").code == 8
    (told,) = echo("instance", "diagnose", "echo-1", "-o", "json").value
    assert (told["severity"], told["cause"]) == ("Error", "OutOfMemory")
    assert echo("diagnose", "gone").err == "easel: no service and no instance named 'gone'\n"


def test_a_gpu_is_listed_fenced_and_lifted(easel: CommandLine, fake: FakeAdmin) -> None:
    node = fake.add_node("n1")
    node.gpus.append(common.Gpu(uuid="GPU-7", index=0, model="NVIDIA L4", memory_mib=24_576, healthy=True))

    assert easel("gpu", "ls").out.splitlines()[1].split()[:4] == ["n1", "0", "GPU-7", "NVIDIA"]
    fenced = easel("gpu", "fence", "n1", "GPU-7", "--why", "it is hot")
    assert fenced.err == "GPU-7 of n1 is fenced; `easel gpu lift n1 GPU-7` lifts the fence\n"
    assert "Fenced" in easel("gpu", "ls").out and "it is hot" in easel("gpu", "ls", "--node", "n1").out
    assert "fenced: it is hot" in easel("node", "desc", "n1").out
    assert easel("gpu", "lift", "n1", "GPU-7").code == 0
    assert easel("gpu", "ls", "-o", "json").value[0]["fenced"] is False
    assert easel("gpu", "fence", "n1", "GPU-8").code == 3
