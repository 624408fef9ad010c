"""The in-memory admin API that other tests speak to tells of every change, as a scheduler does."""

import asyncio
from typing import Any, cast

from easel.admin.v1 import admin_pb2 as pb
from tests.support.fake_admin import FakeAdmin, fake_admin_serving
from tests.support.fake_admin_servicers import Services


async def test_what_changes_while_a_watch_tells_of_something_is_told_after_it() -> None:
    fake = FakeAdmin()
    async with fake_admin_serving(fake), asyncio.timeout(10):
        fake.create('{"name": "echo"}', "")
        request = pb.WatchServicesRequest(name="echo")
        watch = Services(fake).WatchServices(request, cast(Any, None))
        assert (await anext(watch)).service.wanted == 1
        fake.scale("echo", 2)
        await asyncio.sleep(0)  # all watches are woken here

        assert (await anext(watch)).synced
        assert (await anext(watch)).service.wanted == 2
        await watch.aclose()
