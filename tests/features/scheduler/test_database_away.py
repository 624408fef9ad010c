"""The scheduler while its database goes away and comes back."""

import json
from pathlib import Path

import grpc
import pytest

from easel.admin.v1 import admin_pb2
from tests.support.builders import a_spec
from tests.support.postgres import PostgresServer, postgres_server
from tests.support.scheduler_harness import DEADLINE, a_scheduler, an_agent
from tests.support.waiting import until

pytestmark = pytest.mark.postgres


@pytest.fixture(scope="module")
def server() -> object:
    with postgres_server() as running:
        yield running


async def test_a_scheduler_goes_on_after_its_connections_were_cut(
    tmp_path: Path, server: PostgresServer
) -> None:
    await server.answers()
    url = await server.new_database()
    async with a_scheduler(tmp_path, database_url=url) as scheduler, an_agent(scheduler) as agent:
        await scheduler.create(a_spec("before"))
        await agent.sees(lambda a: len(a.assigned) == 1, "an assignment")

        await server.run(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
        )

        async def created() -> bool:
            request = admin_pb2.CreateServiceRequest(
                spec_json=json.dumps(a_spec("after")), idempotency_key="k"
            )
            try:
                await scheduler.services.CreateService(request, timeout=DEADLINE)
            except grpc.aio.AioRpcError as away:
                assert away.code() is grpc.StatusCode.UNAVAILABLE
                return False
            return True

        await until(created, "the second service")
        await agent.sees(lambda a: len(a.assigned) == 2, "both assignments")


async def test_a_second_scheduler_on_the_same_database_is_refused(
    tmp_path: Path, server: PostgresServer
) -> None:
    await server.answers()
    url = await server.new_database()
    async with a_scheduler(tmp_path, database_url=url):
        with pytest.raises(Exception, match="another scheduler"):
            async with a_scheduler(tmp_path, database_url=url):
                pass
