"""A fake scheduler per test, and a client of it."""

from collections.abc import AsyncIterator

import pytest

from easel_sdk import AsyncEasel
from tests.support.fake_admin import ADMIN_TOKEN, FakeAdmin, fake_admin_serving


@pytest.fixture
async def fake() -> AsyncIterator[FakeAdmin]:
    async with fake_admin_serving(FakeAdmin()) as served:
        yield served


@pytest.fixture
async def easel(fake: FakeAdmin) -> AsyncIterator[AsyncEasel]:
    async with AsyncEasel(fake.address, ADMIN_TOKEN) as client:
        yield client
