"""A new release beside the old one in a group: testers, copies, then more and more, or back by itself."""

import asyncio
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from easel_sdk import AsyncEasel
from easel_sdk.types import MemberRule
from tests.support.documents import ROOT
from tests.support.embedded import EmbeddedEasel, done, embedded_easel
from tests.support.free_ports import free_port
from tests.support.waiting import until

pytestmark = pytest.mark.timeout(300)

APP = ROOT / "examples" / "canary" / "app.py"
GROUP = "scores"
STABLE, CANARY = "scores_stable", "scores_canary"


@pytest.fixture(scope="module")
def easel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedEasel]:
    with embedded_easel(tmp_path_factory.mktemp("easel")) as running:
        for name, release in ((STABLE, "stable"), (CANARY, "canary")):
            running.create(a_release(running.home, name, release))
        yield running


def a_release(home: Path, name: str, release: str, fails: float = 0.0) -> Path:
    spec = {
        "metadata": {"name": name, "group": GROUP, "instance": 1, "cpu": 0.1, "memory": 128},
        "containers": [
            {
                "image": "none",
                "script": f"exec {sys.executable} {APP}",
                "port": free_port(),
                "env": [{"name": "RELEASE", "value": release}, {"name": "FAILS", "value": str(fails)}],
            }
        ],
    }
    path = home / f"{name}.json"
    path.write_text(json.dumps(spec))
    return path


async def ramp(easel: EmbeddedEasel, every: str) -> subprocess.CompletedProcess[str]:
    """Returns when the canary has all of the requests, or none any more."""
    plan = ("--ramp", "10,50,100", "--every", every, "--max-error-rate", "5%", "--wait")
    return await asyncio.to_thread(easel.easel, "release", CANARY, *plan)


class Callers:
    """Clients of the group, one request after the other each, until told to stop."""

    def __init__(self, url: str, token: str) -> None:
        self._url, self._headers = url, {"Authorization": token}
        self._stop = asyncio.Event()
        self.releases: Counter[str] = Counter()
        self.statuses: Counter[int] = Counter()

    async def call(self, client: httpx.AsyncClient, **headers: str) -> str:
        answer = await client.get(self._url, headers={**self._headers, **headers})
        self.statuses[answer.status_code] += 1
        release = str(answer.json().get("release", ""))
        self.releases[release] += 1
        return release

    async def keep_calling(self) -> None:
        async with httpx.AsyncClient(timeout=20) as client:
            while not self._stop.is_set():
                await self.call(client)

    async def __aenter__(self) -> "Callers":
        self._tasks = [asyncio.create_task(self.keep_calling()) for _ in range(4)]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stop.set()
        await asyncio.gather(*self._tasks)


async def callers_of(easel: EmbeddedEasel, client: AsyncEasel) -> Callers:
    return Callers(f"{easel.context.gateway}/api/predict/{GROUP}", await client.groups.token(GROUP))


async def test_a_new_member_gets_nothing_until_its_release_but_testers_see_it(
    easel: EmbeddedEasel,
) -> None:
    async with AsyncEasel.of(easel.context) as client, httpx.AsyncClient(timeout=20) as http:
        callers = await callers_of(easel, client)
        assert {await callers.call(http) for _ in range(50)} == {"stable"}

        await client.groups.update(GROUP, rules=[MemberRule(CANARY, header="x-tester", value="yes")])

        async def seen_by_testers() -> bool:
            return await callers.call(http, **{"x-tester": "yes"}) == "canary"

        await until(seen_by_testers, "testers to see the canary")
        assert {await callers.call(http) for _ in range(50)} == {"stable"}
        await client.groups.update(GROUP, rules=[])


async def test_answers_of_a_target_are_compared_off_the_path_of_the_real_ones(easel: EmbeddedEasel) -> None:
    async with AsyncEasel.of(easel.context) as client:
        await client.mirrors.put(STABLE, [CANARY], ratio=100, compare=1.0)
        async with await callers_of(easel, client) as callers:

            async def told() -> bool:
                found = (await client.mirrors.get(STABLE)).comparisons
                return bool(found and found[0].differing)

            await until(told, "a difference between the releases", within=60)
        found = (await client.mirrors.get(STABLE)).comparisons[0]
        assert any("release" in each for each in found.differing[0].differences)
        assert not any("score" in each for each in found.differing[0].differences)
        assert set(callers.releases) == {"stable"}
        assert set(callers.statuses) == {200}
        await client.mirrors.delete(STABLE)


async def test_a_good_release_takes_over_step_by_step(easel: EmbeddedEasel) -> None:
    async with AsyncEasel.of(easel.context) as client:
        async with await callers_of(easel, client) as callers:
            ramped = await asyncio.to_thread(
                easel.easel,
                *(
                    "release",
                    CANARY,
                    "--ramp",
                    "10,50,100",
                    "--every",
                    "2s",
                    "--max-error-rate",
                    "5%",
                    "--wait",
                ),
            )
            done(ramped)
            callers.releases.clear()
            await until(lambda: callers.releases["canary"] >= 100, "requests after the last step")
        assert callers.releases["stable"] <= 4  # under way while the counts began anew
        assert set(callers.statuses) == {200}
        group = await client.groups.get(GROUP)
        assert {member.service: member.share for member in group.members} == {CANARY: 1.0, STABLE: 0.0}


async def test_a_bad_release_goes_back_by_itself_and_says_why(easel: EmbeddedEasel) -> None:
    async with AsyncEasel.of(easel.context) as client:
        await client.services.release(STABLE, traffic_state="grouping", weight=100)
        await client.services.release(CANARY, traffic_state="standalone")
        spec = a_release(easel.home, CANARY, "canary", fails=0.5)
        done(easel.easel("modify", CANARY, "-f", str(spec), "--replace", "--wait"))
        async with await callers_of(easel, client) as callers:
            ramped = await asyncio.to_thread(
                easel.easel,
                *(
                    "release",
                    CANARY,
                    "--ramp",
                    "10,50,100",
                    "--every",
                    "5s",
                    "--max-error-rate",
                    "5%",
                    "--wait",
                ),
            )
            assert ramped.returncode == 1
            assert "went back" in ramped.stdout + ramped.stderr
            callers.releases.clear()
            await until(lambda: callers.releases["stable"] >= 100, "requests after it went back")
        assert callers.releases["canary"] <= 4
        group = await client.groups.get(GROUP)
        assert group.ramp is not None
        assert "%" in group.ramp.why
        assert {member.service: member.share for member in group.members} == {CANARY: 0.0, STABLE: 1.0}
