"""How commands end: exit codes, one-sentence refusals, and where the context comes from."""

import stat
from pathlib import Path

import pytest

from cli.exits import Exit, code_of, code_of_status
from libs.domain import errors
from tests.support.command_line import CommandLine
from tests.support.fake_admin import ADMIN_TOKEN, FakeAdmin
from tests.support.free_ports import free_port


def test_every_refusal_has_an_exit_code_of_its_own_meaning() -> None:
    kinds = {
        kind for kind in vars(errors).values() if isinstance(kind, type) and kind is not errors.EaselError
    }

    codes = {
        kind.__name__: code_of(kind.__new__(kind)) for kind in kinds if issubclass(kind, errors.EaselError)
    }

    assert Exit.FAILED not in codes.values()
    assert codes["NotFound"] == 3 and codes["Conflict"] == 4 and codes["Unavailable"] == 5
    assert codes["DeadlineExceeded"] == 6 and codes["Unauthenticated"] == codes["PermissionDenied"] == 7


@pytest.mark.parametrize(
    ("status", "code"),
    [(200, 0), (204, 0), (401, 7), (404, 3), (408, 6), (422, 4), (429, 4), (500, 1), (503, 5), (504, 6)],
)
def test_an_http_status_becomes_the_exit_code_of_the_same_meaning(status: int, code: int) -> None:
    assert code_of_status(status) == code


def test_without_a_context_every_command_says_what_to_do(lonely: CommandLine) -> None:
    ran = lonely("ls")

    assert ran.code == 7
    assert (
        ran.err
        == "easel: no context yet; run `easel up`, or `easel context set NAME --scheduler HOST:PORT`\n"
    )


def test_without_a_scheduler_the_address_and_the_remedy_are_named(lonely: CommandLine) -> None:
    address = f"127.0.0.1:{free_port()}"
    lonely.knows(scheduler=address, token=ADMIN_TOKEN, data_dir="/somewhere")

    ran = lonely("ls")

    assert (ran.code, ran.err) == (5, f"easel: no scheduler at {address}; run `easel up`\n")


def test_a_scheduler_elsewhere_is_not_started_by_easel_up(lonely: CommandLine) -> None:
    address = f"127.0.0.1:{free_port()}"
    lonely.knows(scheduler=address, token=ADMIN_TOKEN)

    ran = lonely("ls")

    assert ran.code == 5
    assert ran.err.startswith(f"easel: no scheduler at {address}; see that Easel runs there")
    assert "easel up" not in ran.err


def test_a_token_the_scheduler_does_not_know_is_refused(lonely: CommandLine, fake: FakeAdmin) -> None:
    lonely.knows(scheduler=fake.address, token="wrong")

    ran = lonely("ls")

    assert ran.code == 7
    assert ran.err.startswith("easel: the token of this call is not known here; `easel context set NAME")


def test_a_context_without_a_token_says_how_to_keep_one(lonely: CommandLine) -> None:
    lonely.knows(scheduler="127.0.0.1:1")

    ran = lonely("ls")

    assert ran.code == 7 and "`easel context set NAME --token TOKEN`" in ran.err


def test_a_command_that_does_not_exist_is_a_usage_error(lonely: CommandLine) -> None:
    assert lonely("fly").code == 2
    assert lonely("scale", "echo", "many").code == 2


def test_contexts_are_kept_for_the_owner_alone_chosen_and_overridden(
    lonely: CommandLine, fake: FakeAdmin
) -> None:
    lonely("context", "set", "near", "--scheduler", fake.address, "--token", ADMIN_TOKEN)
    lonely("context", "set", "far", "--scheduler", f"127.0.0.1:{free_port()}", "--token", "t", "--use")

    assert stat.S_IMODE(lonely.path.stat().st_mode) == 0o600
    assert lonely("ls").code == 5
    assert lonely("--context", "near", "ls").code == 0
    assert lonely("context", "use", "near").code == 0
    assert lonely("ls").code == 0
    assert [each["current"] for each in lonely("context", "ls", "-o", "json").value] == [False, True]
    assert ADMIN_TOKEN not in lonely("context", "ls", "-o", "json").out
    assert lonely("context", "use", "gone").code == 7


def test_a_new_context_needs_an_address(lonely: CommandLine) -> None:
    assert lonely("context", "set", "new").code == 2


def test_a_broken_context_file_is_named(lonely: CommandLine) -> None:
    lonely.path.write_text("{")

    ran = lonely("ls")

    assert ran.code == 1 and str(lonely.path) in ran.err


def test_nothing_to_stop_is_no_failure(lonely: CommandLine, tmp_path: Path) -> None:
    ran = lonely("down")

    assert (ran.code, ran.err) == (0, f"no Easel runs on {tmp_path / 'data'}\n")
    assert lonely("down", "-o", "json").value == {"stopped": False}


def test_every_command_explains_itself_and_takes_an_output_format(lonely: CommandLine) -> None:
    nouns = {
        "node": ("ls", "desc", "cordon", "uncordon", "drain", "label", "move", "delete"),
        "resource": ("ls", "desc", "create", "update", "delete"),
        "token": ("ls", "create", "delete", "service"),
        "context": ("ls", "use", "set"),
        "rollout": ("status", "pause", "resume", "promote", "undo", "set"),
        "instance": ("desc", "restart", "isolate", "detach", "delete", "diagnose"),
        "gpu": ("ls", "fence", "lift"),
        "secret": ("set", "ls", "rm"),
        "dataset": ("create", "ls", "rm"),
        "image": ("pull", "ls", "rm"),
    }
    verbs = (
        "up down create modify clone ls desc w dw logs diagnose events predict scale start stop restart "
        "lock label delete version versions"
    )

    for command in [[verb] for verb in verbs.split()] + [[n, v] for n, vs in nouns.items() for v in vs]:
        ran = lonely(*command, "--help")
        assert ran.code == 0
        assert "--output" in ran.out, command
