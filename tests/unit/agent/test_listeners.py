"""What a listing of sockets says about who reaches an instance."""

from pathlib import Path

import pytest

from libs.domain.causes import Cause
from services.agent.runtime.listeners import Listener, connections_to, finding_of, listeners

HEADER = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"


def row(local: str, state: str, inode: int = 7) -> str:
    return f"   0: {local} 00000000:0000 {state} 00000000:00000000 00:00000000 00000000 0 0 {inode} 1\n"


@pytest.fixture
def net(tmp_path: Path) -> Path:
    (tmp_path / "tcp").write_text(
        HEADER
        + row("0100007F:1F40", "0A")
        + row("00000000:1F41", "0A")
        + row("020011AC:1F40", "01")
        + row("020011AC:9C40", "01")
        + row("020011AC:1F40", "06")
    )
    (tmp_path / "tcp6").write_text(
        HEADER
        + row("00000000000000000000000001000000:1F42", "0A")
        + row("00000000000000000000000000000000:1F43", "0A")
        + row("0000000000000000FFFF0000020011AC:1F40", "01")
    )
    return tmp_path


def test_connections_are_those_that_are_open_to_the_port(net: Path) -> None:
    assert connections_to(8000, net) == 2


def test_listeners_on_loopback_are_told_apart(net: Path) -> None:
    found = [(each.port, each.loopback) for each in listeners(net)]

    assert found == [(8000, True), (8001, False), (8002, True), (8003, False)]


@pytest.mark.parametrize(
    ("found", "cause", "words"),
    [
        ([], Cause.NOT_LISTENING, "listens on no port yet"),
        ([(9000, False)], Cause.WRONG_PORT, "listens on port 9000, but was given 8000"),
        ([(8000, True)], Cause.LOOPBACK_ONLY, "listens on 127.0.0.1:8000 only"),
    ],
)
def test_why_nobody_reaches_a_port(found: list[tuple[int, bool]], cause: Cause, words: str) -> None:
    here = [Listener(port, loopback, "7") for port, loopback in found]

    finding = finding_of(here, 8000, "was given 8000", from_outside=True)

    assert finding is not None
    assert finding.cause is cause
    assert words in finding.why


def test_loopback_is_enough_for_those_who_come_over_it() -> None:
    assert finding_of([Listener(8000, True, "7")], 8000, "", from_outside=False) is None
