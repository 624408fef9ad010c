"""An agent whose instances mount object stores, killed at the worst moments."""

import hashlib
import os
from collections.abc import Iterator

import pytest

from libs.domain.causes import Cause
from services.agent.storage.digests import PIECE
from tests.features.agent.conftest import AgentProcess
from tests.support.fake_scheduler_link import FakeScheduler
from tests.support.runtime_stage import SERVER
from tests.support.s3_server import KEY, SECRET, S3Server
from tests.support.waiting import until

SUM = "sha256sum /mnt/data/weights.bin && "


@pytest.fixture
def s3() -> Iterator[S3Server]:
    with S3Server().running() as server:
        yield server


def secrets_of(s3: S3Server) -> dict[str, str]:
    keys = {"endpoint": s3.endpoint, "region": "us-east-1", "access_key_id": KEY, "secret_access_key": SECRET}
    return {f"oss-{s3.bucket}/{key}": value for key, value in keys.items()}


def a_mount(s3: S3Server, *, read_only: bool) -> list[object]:
    return [{"mount_path": "/mnt/data", "oss": {"path": f"oss://{s3.bucket}/model/", "readOnly": read_only}}]


async def test_four_instances_share_a_model_whose_agent_was_killed_at_half_of_it(
    scheduler: FakeScheduler, agent: AgentProcess, s3: S3Server
) -> None:
    content = os.urandom(8 * PIECE)
    s3.put("model/weights.bin", content)
    s3.hold_after(4)
    parts = agent.directory / "cache" / "parts"

    def journalled() -> int:
        return sum(len(path.read_bytes().splitlines()) for path in parts.glob("*.journal"))

    agent.start()
    for number in range(4):
        secrets, storage = secrets_of(s3), a_mount(s3, read_only=True)
        scheduler.assign(f"i-{number}", SUM + SERVER, secrets=secrets, storage=storage)
    await until(lambda: journalled() == 4, "half of the pieces")
    agent.kill()
    before = len(s3.gets)
    s3.hold_after(None)
    agent.start()

    for number in range(4):
        await scheduler.sees_ready(f"i-{number}")

    assert len(s3.gets) - before == 4, "the other half, once"
    for number in range(4):
        assert hashlib.sha256(content).hexdigest() in await scheduler.log_of(f"i-{number}")


async def test_what_an_instance_wrote_is_in_the_store_before_it_is_gone(
    scheduler: FakeScheduler, agent: AgentProcess, s3: S3Server
) -> None:
    agent.start()
    script = "echo written > /mnt/data/out; " + SERVER
    scheduler.assign("i-1", script, secrets=secrets_of(s3), storage=a_mount(s3, read_only=False))
    await scheduler.sees_ready("i-1")

    scheduler.ask_to_stop("i-1")
    await scheduler.sees("i-1", lambda report: report.gone, "to be gone")

    assert s3.get("model/out") == b"written\n"


async def test_a_model_that_is_not_there_is_reported_with_its_cause(
    scheduler: FakeScheduler, agent: AgentProcess, s3: S3Server
) -> None:
    agent.start()
    scheduler.assign("i-1", SERVER, secrets=secrets_of(s3), storage=a_mount(s3, read_only=True))

    report = await scheduler.sees("i-1", lambda report: bool(report.cause), "to have a cause")

    assert report.cause == Cause.STORAGE_NOT_FOUND
    assert "nothing is stored there" in report.why


async def test_a_missing_secret_is_reported_with_its_cause(
    scheduler: FakeScheduler, agent: AgentProcess
) -> None:
    agent.start()
    scheduler.assign("i-1", SERVER, env=[{"name": "A", "value": "secret://db/password"}])

    report = await scheduler.sees("i-1", lambda report: bool(report.cause), "to have a cause")

    assert report.cause == Cause.SECRET_MISSING
    assert "secret://db/password" in report.why
