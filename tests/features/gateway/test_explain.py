"""What is said of a request is what becomes of it: the same rules, asked twice."""

import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from easel.gateway.v1 import gateway_pb2 as pb
from services.gateway.routing.explain import Explanation, World, explain
from services.gateway.routing.request import Request
from services.gateway.routing.sessions import periods, session_value
from services.gateway.translate import group_from_proto, service_from_proto
from tests.features.gateway.test_urls_and_tokens import signed
from tests.support.gateway_harness import EchoBackend, Harness, echo_backend, service
from tests.support.waiting import until

NAMES = ("a", "b", "c", "app")
CASES = 400


@dataclass
class Stage:
    """A gateway, and what it was told, for asking both."""

    gateway: Harness
    backends: dict[str, EchoBackend]

    @property
    def world(self) -> World:
        scheduler = self.gateway.scheduler
        return World(
            {name: service_from_proto(each) for name, each in scheduler.services.items()},
            {name: group_from_proto(each) for name, each in scheduler.groups.items()},
            ("easel.local", f"easel.local:{self.gateway.port}"),
            periods(datetime.now(UTC)),
        )

    async def answered(self, request: Request) -> tuple[int, str, str]:
        """Status, backend and the path that it saw; of the gateway's own answers, the sentence."""
        headers = {"host": request.host, **request.headers}
        answer = await self.gateway.http.request(
            request.method, self.gateway.url + request.path, headers=headers, content=b"x"
        )
        said = answer.json()
        if answer.status_code == 200:
            return 200, said["backend"], said["path"]
        return answer.status_code, said["message"], ""


@pytest.fixture
async def stage(gateway: Harness) -> AsyncIterator[Stage]:
    """Services a, b and c in group g; app shows pages; c keeps its path and has no instance."""
    async with AsyncExitStack() as owned:
        backends = {name: await owned.enter_async_context(echo_backend(name)) for name in NAMES}
        await gateway.serve(
            service("a", backends["a"].port, tokens=["of-a"], token_ids=["service:a"], group="g"),
            service("b", backends["b"].port, tokens=["of-b", "b-2"], group="g", keep_path=True),
            service("c", tokens=["of-c"], group="g"),
            service("app", backends["app"].port, tokens=["of-app"], webservice=True),
            service("new", tokens=["of-new"], backends=[]),
        )
        yield Stage(gateway, backends)


def some_group(rng: random.Random) -> pb.GroupRoute:
    rules = [
        pb.MemberRule(service="b", header="x-tester", value="yes"),
        pb.MemberRule(service="a", header="x-any"),
        pb.MemberRule(service="b", cookie="beta", value="1"),
        pb.MemberRule(service="c", cookie="gamma"),
    ]
    return pb.GroupRoute(
        name="g",
        tokens=["of-g", "g-2"][: rng.randint(1, 2)],
        members=[pb.GroupMember(service=name, weight=rng.choice((0, 0, 1, 3))) for name in "abc"],
        rules=rng.sample(rules, rng.randint(0, 4)),
        sticky_header=rng.choice(("", "x-user")),
        sticky_cookie=rng.choice(("", "keep")),
    )


def some_request(rng: random.Random, port: int) -> Request:
    name = rng.choice(
        ("a", "b", "c", "g", "g", "g", "g", "g.a", "g.b", "g.c", "app", "new", "other", "a.g", "")
    )
    rest = rng.choice(("", "/", "/v1/x", "/v1/x?q=1", "?q=1", "//x"))
    headers = {
        "x-tester": rng.choice((None, None, "yes", "no")),
        "x-any": rng.choice((None, None, None, "1")),
        "x-user": rng.choice((None, f"user-{rng.randint(0, 99)}", "u" * rng.randint(1, 80))),
        "cookie": rng.choice(
            (
                None,
                None,
                "beta=1",
                "x=beta=1",
                "gamma=7; z=1",
                "keep=a",
                "keep=b; beta=2",
                "keep=c",
                _session(),
            )
        ),
    }
    path, host = f"/api/predict/{name}{rest}", "gateway"
    if (place := rng.choice(("path", "path", "host", "header"))) != "path":
        path = rest if rest.startswith("/") else f"/{rest}"
        host = rng.choice((f"{name}.easel.local", f"{name}.easel.local:{port}", f"{name}.else.where"))
    if place == "header":
        headers["x-easel-service"] = name
    token = rng.choice(
        ("of-a", "of-b", "b-2", "of-c", "of-g", "of-g", "of-g", "g-2", "of-app", "of-new", "wrong")
    )
    headers["authorization"] = rng.choice(
        (None, token, token, f"Bearer {token}", f"Bearer {token}", f"bearer {token}")
    )
    shown = {name: value for name, value in headers.items() if value is not None}
    if rng.random() < 0.15:
        shown |= {name.lower(): value for name, value in signed(path, token).items()}
    return Request("POST", host, path, shown)


def _session() -> str:
    return f"easel-app={session_value('of-app', 'app', periods(datetime.now(UTC))[0])}"


def agree(said: Explanation, status: int, who: str, path: str) -> bool:
    if said.status:
        return (said.status, said.why) == (status, who)
    return status == 200 and who in {each.service for each in said.targets if each.share}


@pytest.mark.parametrize("seed", range(5))
async def test_what_is_said_of_a_request_is_what_becomes_of_it(stage: Stage, seed: int) -> None:
    rng = random.Random(seed)
    outcomes = set()
    for _ in range(CASES // 20):
        scheduler = stage.gateway.scheduler
        await scheduler.until_applied(scheduler.set_groups(some_group(rng)))
        for _ in range(20):
            request = some_request(rng, stage.gateway.port)

            said = explain(request, stage.world)
            status, who, path = await stage.answered(request)

            assert agree(said, status, who, path), (request, said, status, who)
            if said.service:
                assert not path or said.path == path, (request, said)
            outcomes.add(status)
    assert outcomes == {200, 401, 404, 503}


async def test_the_gateway_answers_questions_of_its_scheduler(stage: Stage) -> None:
    scheduler = stage.gateway.scheduler
    members = [pb.GroupMember(service="a", weight=3), pb.GroupMember(service="b", weight=1)]
    await scheduler.until_applied(
        scheduler.set_groups(pb.GroupRoute(name="g", tokens=["of-g"], token_ids=["group:g"], members=members))
    )

    asked = pb.ExplainRoute(id="1", host="x", path="/api/predict/g/v1", headers={"Authorization": "of-g"})
    scheduler.ask(pb.ConnectResponse(explain=asked))
    await until(lambda: scheduler.heard.get("explained"), "the answer")
    answer = scheduler.heard["explained"][0].explanation

    assert (answer.gateway, answer.status, answer.group, answer.token) == ("gateway", 0, "g", "group:g")
    assert [(each.service, each.version, each.share) for each in answer.targets] == [
        ("a", 1, 0.75),
        ("b", 1, 0.25),
    ]
    assert answer.envoys == 1
    assert "of-g" not in str(answer)
