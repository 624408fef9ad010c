"""Tables on terminals: nothing is cut, however narrow the window is."""

import fcntl
import os
import pty
import struct
import sys
import termios
from pathlib import Path

import pytest

from cli.output import fitting, least_width

ROW = "digits-2ttcc4kk", "CrashLoopBackOff", "127.0.0.1:20001"
WHY = "exited with code 1; restarting in 10 s (restart 2)"
PROGRAM = f"""
from cli.output import put, table
titles = ("INSTANCE", "STATE", "ADDRESS", "WHY")
columns = [(title, lambda row, n=number: row[n]) for number, title in enumerate(titles)]
put(table([({", ".join(map(repr, ROW))}, {WHY!r})], columns))
"""


def on_a_terminal(columns: int) -> list[str]:
    """The lines that `PROGRAM` writes to a terminal of that width."""
    pid, terminal = pty.fork()
    if pid == 0:
        fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        root = Path(__file__).parents[3]
        environ = {"PATH": os.environ["PATH"], "TERM": "xterm", "NO_COLOR": "1", "PYTHONPATH": str(root)}
        os.execve(sys.executable, [sys.executable, "-c", PROGRAM], environ)
    written = b""
    try:
        while piece := os.read(terminal, 65_536):
            written += piece
    except OSError:  # The other end of a terminal closes like this.
        pass
    os.close(terminal)
    assert os.waitpid(pid, 0)[1] == 0, written
    return written.decode().splitlines()


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_names_states_and_addresses_are_whole_on_any_terminal(columns: int) -> None:
    text = " ".join(" ".join(on_a_terminal(columns)).split())

    for part in ROW:
        assert part in text


def test_a_sentence_folds_where_there_is_room_for_it_and_stays_one_line_where_there_is_not() -> None:
    assert len(on_a_terminal(100)) == 3
    assert on_a_terminal(60)[1].endswith(WHY)
    assert on_a_terminal(200)[1].endswith(WHY)


def test_what_may_not_wrap_moves_together_and_then_leaves_columns_out_and_names_them() -> None:
    columns = [(title, lambda _: "9" * 6) for title in ("QPS", "OPEN", "READY", "WANTED")]

    roomy, close, narrow = (fitting([0], columns, width) for width in (33, 27, 20))

    assert least_width(roomy) == 33
    assert least_width(close) == 27
    assert (least_width(narrow.renderables[0]), str(narrow.renderables[1])) == (
        20,
        "for lack of room without WANTED",
    )
