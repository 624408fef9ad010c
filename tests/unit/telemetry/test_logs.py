"""What a log line looks like."""

import io
import logging
from collections.abc import Iterator
from json import loads

import pytest

from libs.telemetry.logs import configure


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _root_logger_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers, root.level = handlers, level


def test_a_line_outside_a_terminal_is_one_json_object_with_the_fields_beside_the_message() -> None:
    out = io.StringIO()
    configure("INFO", stream=out)

    logging.getLogger("agent").info("node reconciled", extra={"node": "n1", "why": "2 started"})

    line = loads(out.getvalue())
    assert line["message"] == "node reconciled"
    assert line["logger"] == "agent"
    assert line["level"] == "INFO"
    assert (line["node"], line["why"]) == ("n1", "2 started")
    assert line["at"].endswith("+00:00")


def test_a_line_on_a_terminal_is_text_with_key_value_pairs() -> None:
    out = Terminal()
    configure("INFO", stream=out)

    logging.getLogger("agent").info("node reconciled", extra={"node": "n1", "why": "2 started"})

    assert out.getvalue().endswith('INFO    agent: node reconciled  node=n1  why="2 started"\n')


def test_json_can_be_asked_for_on_a_terminal() -> None:
    out = Terminal()
    configure("INFO", json=True, stream=out)

    logging.getLogger("agent").info("up")

    assert loads(out.getvalue())["message"] == "up"


def test_an_extra_field_never_hides_the_message() -> None:
    out = io.StringIO()
    configure("INFO", stream=out)

    logging.getLogger("agent").info("up", extra={"at": "noon", "level": "deep"})

    assert loads(out.getvalue())["level"] == "INFO"


def test_an_error_is_in_its_own_line_with_its_traceback() -> None:
    out = io.StringIO()
    configure("INFO", stream=out)

    try:
        raise RuntimeError("no such engine")
    except RuntimeError:
        logging.getLogger("agent").exception("runtime is away")

    assert "RuntimeError: no such engine" in loads(out.getvalue())["error"]


def test_the_newest_configuration_decides_and_lines_are_not_written_twice() -> None:
    first, second = io.StringIO(), io.StringIO()
    configure("INFO", stream=first)
    configure("warning", stream=second)

    logging.getLogger("agent").info("quiet")
    logging.getLogger("agent").warning("loud")

    assert first.getvalue() == ""
    assert loads(second.getvalue())["message"] == "loud"


def test_a_level_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="LOUD"):
        configure("loud")
