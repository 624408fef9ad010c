"""A version that cannot work: its update stops, nobody misses the version before, the cause has a name."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from easel_sdk import Easel
from easel_sdk.types import RolloutPhase
from tests.e2e.services import TOKEN, a_container_service
from tests.support.embedded import EmbeddedEasel, embedded_easel
from tests.support.load import steady_load
from tests.support.waiting import until

pytestmark = [pytest.mark.docker, pytest.mark.timeout(300)]

Spec = dict[str, Any]


@pytest.fixture(scope="module")
def easel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedEasel]:
    with embedded_easel(tmp_path_factory.mktemp("easel"), "--runtime", "docker") as running:
        yield running


def crashing(spec: Spec) -> None:
    spec["containers"][0] |= {"args": ["-c", "raise SystemExit(3)"]}


def never_ready(spec: Spec) -> None:
    probe = {"exec": {"command": ["false"]}, "initial_delay_seconds": 0, "period_seconds": 1}
    spec["containers"][0]["readiness_check"] = probe


def without_image(spec: Spec) -> None:
    # A registry of this machine that nobody serves: no name has to be looked up.
    spec["containers"][0]["image"] = "127.0.0.1:9/nobody/nothing:1"


def with_bad_requirements(spec: Spec) -> None:
    spec["containers"][0]["prepare"] = {"pythonRequirements": ["no-such-package-of-anybody==0.0.1"]}


@pytest.mark.parametrize(
    ("spoil", "cause", "phase"),
    [
        (crashing, "Exited", RolloutPhase.FAILED),
        (never_ready, "ReadinessProbeFailed", RolloutPhase.RUNNING),
        (without_image, "RegistryUnreachable", RolloutPhase.FAILED),
        (with_bad_requirements, "RequirementsFailed", RolloutPhase.FAILED),
    ],
)
async def test_a_version_that_cannot_work_stops_its_update_and_nobody_notices(
    easel: EmbeddedEasel, spoil: Callable[[Spec], None], cause: str, phase: RolloutPhase
) -> None:
    name = spoil.__name__
    good = a_container_service(name, "echo.py", instances=2)
    bad = a_container_service(name, "echo.py", instances=2)
    spoil(bad)
    url = f"{easel.context.gateway}/api/predict/{name}"
    with Easel.of(easel.context) as client:
        client.services.create(good)
        await until(lambda: client.services.get(name).ready == 2, "two ready instances", within=60)
        before = {i.id for i in client.instances.list(service=name)}

        with steady_load(url, {"Authorization": TOKEN}) as load:
            await load.more()
            client.services.update(name, bad, replace=True)
            await until(
                lambda: cause in {finding.cause for finding in client.services.diagnose(name)},
                f"a diagnosis of {cause}",
                within=120,
            )
            await until(lambda: phase_of(client, name) is phase, f"phase {phase}", within=60)
            await load.more()
            serving = {i.id for i in client.instances.list(service=name) if i.ready}
            client.services.roll_to(name, 1)
            await until(
                lambda: [i.id for i in client.instances.list(service=name)] == sorted(before),
                "the failed instance to be gone",
                within=90,
            )
            await load.more()

        assert serving == before
        assert load.failures == []
        client.services.delete(name)


def phase_of(client: Easel, name: str) -> RolloutPhase | None:
    rollout = client.services.get(name).rollout
    return rollout.phase if rollout is not None else None
