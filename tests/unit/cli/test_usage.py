"""What is wrong with a command line is said in one sentence, and ends with 2."""

import pytest

from tests.support.command_line import CommandLine


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("crate x", "no command 'crate'; did you mean `easel create`?"),
        ("fly", "no command 'fly'; `easel -h` lists the commands"),
        ("node fly", "no command 'fly'; `easel node -h` lists the commands"),
        ("delete", "`easel delete` needs SERVICE; `easel delete -h` explains it"),
        ("image pull a:1", "`easel image pull` needs --on; `easel image pull -h` explains it"),
        ("create a b", "`easel create` does not take b; `easel create -h` explains it"),
        ("create --wiat x", "`easel create` has no option --wiat; did you mean --no-wait or --wait?"),
        ("scale echo many", "N: got 'many', expected a whole number"),
        ("scale echo 1 --timeout x", "--timeout: got 'x', expected a number"),
        ("up --port 99999", "--port: got '99999', expected at most 65535"),
        ("resource update g --kind odd", "--kind: got 'odd', expected one of 'dedicated', 'public'"),
        ("delete --wait=3 x", "--wait takes no value"),
        ("modify echo", "give either -f FILE or one or more -D PATH=VALUE"),
        ("modify echo -D x", "'x' is not PATH=VALUE"),
        ("lock echo some", "LEVEL: got 'some', expected one of 'none', 'dangerous', 'all'"),
    ],
)
def test_a_wrong_command_line_is_one_sentence(lonely: CommandLine, line: str, sentence: str) -> None:
    ran = lonely(*line.split())

    assert (ran.code, ran.out, ran.err) == (2, "", f"easel: {sentence}\n")


def test_a_noun_alone_shows_its_help(lonely: CommandLine) -> None:
    ran = lonely("rollout")

    assert ran.code == 2 and "promote" in ran.out + ran.err
