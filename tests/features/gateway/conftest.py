"""A gateway and a backend for each test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.gateway_harness import EchoBackend, Harness, echo_backend, harness


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Harness]:
    async with harness(tmp_path) as running:
        yield running


@pytest.fixture
async def echo() -> AsyncIterator[EchoBackend]:
    async with echo_backend() as backend:
        yield backend
