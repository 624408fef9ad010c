"""What is followed is taken up again after each end, and an outage is said once, and once when it is over."""

import asyncio
import logging
from datetime import timedelta
from typing import Any

import grpc
import pytest

from libs.rpc.following import Outage, follow


class ScriptedCall:
    """A stream that says these messages and then ends, or stays silent."""

    def __init__(self, *messages: str, ends: bool = True) -> None:
        self._messages, self._ends, self.cancelled = list(messages), ends, False

    async def read(self) -> Any:
        if self._messages:
            return self._messages.pop(0)
        if not self._ends:
            await asyncio.Event().wait()
        return grpc.aio.EOF

    def cancel(self) -> None:
        self.cancelled = True


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO)
    return caplog


def test_one_that_is_young_is_not_said(said: pytest.LogCaptureFixture) -> None:
    now = [0.0]
    outage = Outage("autoscaler", "metrics", lambda: now[0])
    for now[0] in (0.0, 0.5, 1.0):
        outage.lasts("refused")
    outage.over()
    for now[0] in (5.0, 6.0):
        outage.lasts("refused")

    assert said.messages == []


def test_one_that_lasts_is_said_once_and_so_is_its_end(said: pytest.LogCaptureFixture) -> None:
    now = [0.0]
    outage = Outage("autoscaler", "metrics", lambda: now[0])
    for now[0] in (0.0, 1.0, 2.0, 3.0):
        outage.lasts("refused")
    outage.over()
    outage.over()

    assert said.messages == ["metrics is away and is dialled again", "metrics is back"]


def test_one_that_starts_together_with_what_dials_it_is_given_longer(said: pytest.LogCaptureFixture) -> None:
    now = [0.0]
    outage = Outage("scheduler", "metrics", lambda: now[0], at_first=timedelta(seconds=30))
    for now[0] in (0.0, 29.0):
        outage.lasts("refused")
    outage.over()
    assert said.messages == []

    for now[0] in (40.0, 42.0):
        outage.lasts("refused")
    assert said.messages == ["metrics is away and is dialled again"]


def test_streams_that_share_one_are_back_with_the_last(said: pytest.LogCaptureFixture) -> None:
    now = [0.0]
    outage = Outage("agent", "metrics", lambda: now[0])
    for now[0] in (0.0, 2.0):
        outage.lasts("refused", "node")
        outage.lasts("refused", "reports")
    outage.over("reports")
    assert said.messages == ["metrics is away and is dialled again"]

    outage.over("node")
    assert said.messages == ["metrics is away and is dialled again", "metrics is back"]


async def test_a_stream_that_ended_is_opened_again_and_a_stop_cancels_the_one_that_is_open() -> None:
    calls = [ScriptedCall("all there is", "a change"), ScriptedCall("all there is now", ends=False)]
    opened, heard, stop = list[ScriptedCall](), list[str](), asyncio.Event()

    def take(message: str) -> None:
        heard.append(message)
        if message == "all there is now":
            stop.set()

    def again() -> Any:
        opened.append(calls[len(opened)])
        return opened[-1]

    await follow(again, take, lambda: heard.append("lost"), Outage("autoscaler", "scheduler"), stop)

    assert heard == ["all there is", "a change", "lost", "all there is now", "lost"]
    assert [each.cancelled for each in opened] == [True, True]
