"""A group is one way to several services: by rule, by what a client showed before, by weight."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from math import sqrt
from typing import Any

import httpx
import pytest

from easel.gateway.v1 import gateway_pb2 as pb
from tests.support.gateway_harness import EchoBackend, Harness, bearer, echo_backend, service, traffic

URL = "/api/predict/g"


@dataclass
class Stage:
    """A group `g` of the services `stable` and `canary`, each with a backend of its name."""

    gateway: Harness
    stable: EchoBackend
    canary: EchoBackend

    async def group(self, weights: dict[str, int], **more: Any) -> None:
        members = [pb.GroupMember(service=name, weight=weight) for name, weight in weights.items()]
        route = pb.GroupRoute(**({"name": "g", "tokens": ["of-g"], "members": members} | more))
        await self.gateway.scheduler.until_applied(self.gateway.scheduler.set_groups(route))

    async def members(self, stable: bool = True, canary: bool = True, **more: Any) -> None:
        """Serves both, each with an instance or without."""
        values = {"group": "g", "tokens": []} | more
        await self.gateway.serve(
            service("stable", *([self.stable.port] * stable), **(values | {"tokens": ["of-stable"]})),
            service("canary", *([self.canary.port] * canary), **(values | {"tokens": ["of-canary"]})),
        )

    async def ask(self, path: str = URL, token: str = "of-g", **headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.gateway.http.get(self.gateway.url + path, headers=bearer(token) | named)

    async def who(self, count: int = 30, **asked: Any) -> set[str]:
        """The backends that answer `count` requests."""
        return {(await self.ask(**asked)).json()["backend"] for _ in range(count)}


@pytest.fixture
async def stage(gateway: Harness) -> AsyncIterator[Stage]:
    async with AsyncExitStack() as owned:
        stable, canary = [await owned.enter_async_context(echo_backend(n)) for n in ("stable", "canary")]
        built = Stage(gateway, stable, canary)
        await built.members()
        yield built


async def count_answers(gateway: Harness, requests: int, connections: int = 4) -> Counter[bytes]:
    """Which backend answers, over many requests as fast as they go."""
    seen: Counter[bytes] = Counter()
    asked = f"GET {URL} HTTP/1.1\r\nhost: x\r\nauthorization: of-g\r\n\r\n".encode()

    async def some(count: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        for _ in range(count):
            writer.write(asked)
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
            seen[(await reader.readexactly(length)).split(b'"')[3]] += 1
        writer.close()

    await asyncio.gather(*(some(requests // connections) for _ in range(connections)))
    return seen


async def test_weights_of_90_and_10_are_met_as_exactly_as_chance_allows(stage: Stage) -> None:
    requests, share = 10_000, 0.1
    allowed = 3.29 * sqrt(requests * share * (1 - share))  # 99.9 % of all trials lie within
    await stage.group({"stable": 90, "canary": 10})

    seen = await count_answers(stage.gateway, requests)
    if abs(seen[b"canary"] - requests * share) > allowed:  # as one trial in a thousand may
        seen = await count_answers(stage.gateway, requests)

    assert abs(seen[b"canary"] - requests * share) <= allowed, seen
    assert sum(seen.values()) == requests


async def test_a_member_takes_the_path_that_the_group_was_asked_for(stage: Stage) -> None:
    await stage.group({"stable": 1})

    assert (await stage.ask(f"{URL}/v1/x?a=b")).json()["path"] == "/v1/x?a=b"
    assert (await stage.ask("/v1/x?a=b", host="g.easel.local")).json()["path"] == "/v1/x?a=b"
    assert (await stage.ask("/v1/x", x_easel_service="g")).json()["backend"] == "stable"


async def test_members_keep_their_own_paths_and_keepalives(stage: Stage) -> None:
    await stage.gateway.serve(
        service("canary", stage.canary.port, group="g", keep_path=True, keepalive_ms=300),
    )
    rule = pb.MemberRule(service="canary", header="x-tester")
    await stage.group({"stable": 1, "canary": 0}, rules=[rule])

    assert (await stage.ask(f"{URL}/v1")).json()["path"] == "/v1"
    assert (await stage.ask(f"{URL}/v1", x_tester="1")).json()["path"] == f"{URL}/v1"
    assert (await stage.ask("/silent", host="g.easel.local", x_tester="1")).status_code == 408


async def test_a_member_without_a_ready_instance_is_left_out_while_another_has_one(stage: Stage) -> None:
    await stage.group({"stable": 1, "canary": 99}, rules=[pb.MemberRule(service="canary", header="x-tester")])

    await stage.members(canary=False)

    assert await stage.who() == {"stable"}
    assert await stage.who(x_tester="1") == {"stable"}


async def test_a_group_whose_members_have_no_instance_is_503_with_a_sentence(stage: Stage) -> None:
    await stage.group({"stable": 1, "canary": 1})

    await stage.members(stable=False, canary=False)
    answer = await stage.ask()

    assert answer.status_code == 503
    assert answer.json()["code"] == 503
    assert "no member that takes requests of this group has a ready instance" in answer.json()["message"]
    assert (await stage.ask(token="wrong")).status_code == 401


async def test_a_group_without_a_token_opens_to_nobody(stage: Stage) -> None:
    await stage.group({"stable": 1, "canary": 1}, tokens=[])

    assert (await stage.ask()).status_code == 401


@pytest.mark.parametrize(
    ("rule", "shown", "not_shown"),
    [
        ({"header": "x-tester", "value": "yes"}, {"x_tester": "yes"}, {"x_tester": "yes, really"}),
        ({"header": "x-tester"}, {"x_tester": "anything"}, {"x_tester_2": "yes"}),
        ({"cookie": "beta", "value": "1"}, {"cookie": "a=b; beta=1; c=d"}, {"cookie": "abeta=1; beta=10"}),
        ({"cookie": "beta", "value": "1"}, {"cookie": "beta=1"}, {"cookie": "beta=2; x=beta=1"}),
        ({"cookie": "beta"}, {"cookie": "a=b; beta=7"}, {"cookie": "alpha=beta=1"}),
    ],
)
async def test_a_rule_sends_testers_to_a_member_of_weight_0(
    stage: Stage, rule: dict[str, str], shown: dict[str, str], not_shown: dict[str, str]
) -> None:
    await stage.group({"stable": 1, "canary": 0}, rules=[pb.MemberRule(service="canary", **rule)])

    assert await stage.who(5, **shown) == {"canary"}
    assert await stage.who(5, **not_shown) == {"stable"}
    assert await stage.who(5) == {"stable"}


async def test_a_client_that_shows_its_cookie_stays_with_its_member(stage: Stage) -> None:
    await stage.group({"stable": 1, "canary": 1}, sticky_cookie="easel-member")
    first = await stage.ask()
    member = first.json()["backend"]

    assert first.headers["set-cookie"] == f"easel-member={member}; Path=/; HttpOnly; SameSite=Lax"
    stage.gateway.http.cookies.clear()
    assert await stage.who(cookie=f"other=1; easel-member={member}") == {member}
    again = await stage.ask(cookie=f"easel-member={member}")
    assert "set-cookie" not in again.headers


async def test_a_cookie_of_a_member_that_takes_no_requests_any_more_is_replaced(stage: Stage) -> None:
    await stage.group({"stable": 1, "canary": 0}, sticky_cookie="easel-member")

    answer = await stage.ask(cookie="easel-member=canary")

    assert answer.json()["backend"] == "stable"
    assert answer.headers["set-cookie"].startswith("easel-member=stable;")


async def test_the_value_of_a_header_chooses_one_member_and_values_are_spread(stage: Stage) -> None:
    await stage.group({"stable": 1, "canary": 1}, sticky_header="x-user")

    chosen = {f"user-{n}": await stage.who(3, x_user=f"user-{n}") for n in range(40)}

    assert all(len(members) == 1 for members in chosen.values())
    assert {next(iter(members)) for members in chosen.values()} == {"stable", "canary"}
    assert await stage.who(40) == {"stable", "canary"}


async def test_more_weight_takes_no_user_from_the_member_that_got_it(stage: Stage) -> None:
    users = [f"user-{n}" for n in range(60)]
    await stage.group({"stable": 75, "canary": 25}, sticky_header="x-user")
    before = {user for user in users if await stage.who(1, x_user=user) == {"canary"}}

    await stage.group({"stable": 50, "canary": 50}, sticky_header="x-user")
    after = {user for user in users if await stage.who(1, x_user=user) == {"canary"}}

    assert before <= after
    assert len(after) > len(before)


@pytest.mark.parametrize(
    ("name", "token", "status"),
    [
        ("g", "of-g", 200),
        ("g", "of-stable", 401),
        ("stable", "of-stable", 200),
        ("stable", "of-g", 401),
        ("stable", "of-canary", 401),
        ("g.stable", "of-stable", 200),
        ("g.stable", "of-g", 200),
        ("g.stable", "of-canary", 401),
    ],
)
async def test_tokens_of_group_and_member_open_what_is_theirs(
    stage: Stage, name: str, token: str, status: int
) -> None:
    await stage.group({"stable": 1, "canary": 1})

    by_path = await stage.ask(f"/api/predict/{name}/x", token)
    by_host = await stage.ask("/x", token, host=f"{name}.easel.local")
    by_header = await stage.ask("/x", token, x_easel_service=name)

    assert [each.status_code for each in (by_path, by_host, by_header)] == [status] * 3
    if status == 200:
        assert [each.json()["path"] for each in (by_path, by_host, by_header)] == ["/x"] * 3


async def test_weights_change_and_members_come_and_go_without_a_failed_request(stage: Stage) -> None:
    await stage.group({"stable": 1, "canary": 1})

    async with traffic(stage.gateway.url + URL, Authorization="of-g") as seen:
        for weights in ({"stable": 9, "canary": 1}, {"stable": 1}, {"canary": 1}, {"stable": 0, "canary": 3}):
            await stage.group(weights)
            await seen.more()
        await stage.members(stable=False)
        await seen.more()
        scheduler = stage.gateway.scheduler
        await scheduler.until_applied(scheduler.remove("stable"))
        await seen.more()

    assert seen.failures == []


async def test_a_group_goes_away_with_its_names_and_a_service_may_take_them(stage: Stage) -> None:
    scheduler = stage.gateway.scheduler
    await stage.group({"stable": 1})
    assert (await stage.ask()).status_code == 200

    await scheduler.until_applied(scheduler.remove_groups("g"))
    assert (await stage.ask()).status_code == 404

    await stage.gateway.serve(service("g", stage.canary.port, tokens=["of-g"]))
    assert await stage.who(3) == {"canary"}
