"""An outage is said once when it lasts, and once when it is over."""

import logging

import pytest

from services.autoscaler.following import Outage


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO)
    return caplog


def test_one_that_is_young_is_not_said(said: pytest.LogCaptureFixture) -> None:
    now = [0.0]
    outage = Outage("metrics", lambda: now[0])
    for now[0] in (0.0, 0.5, 1.0):
        outage.lasts("refused")
    outage.over()
    for now[0] in (5.0, 6.0):
        outage.lasts("refused")

    assert said.messages == []


def test_one_that_lasts_is_said_once_and_so_is_its_end(said: pytest.LogCaptureFixture) -> None:
    now = [0.0]
    outage = Outage("metrics", lambda: now[0])
    for now[0] in (0.0, 1.0, 2.0, 3.0):
        outage.lasts("refused")
    outage.over()
    outage.over()

    assert said.messages == ["a part is away and is dialled again", "what was away is back"]
