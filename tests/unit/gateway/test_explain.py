"""What is said of a request, sentence by sentence."""

from dataclasses import replace

import pytest

from services.gateway.routes import (
    Backend,
    Endpoint,
    Group,
    GroupMember,
    Limits,
    MemberRule,
    Mirror,
    Service,
    Token,
)
from services.gateway.routing.explain import Explanation, World, explain
from services.gateway.routing.hashing import xxh64
from services.gateway.routing.request import Request

ENDPOINT = Endpoint("i", "10.0.0.1", 9000)
STABLE = Service(
    "stable",
    (Token("secret", "service:stable"),),
    backends=(Backend(1, (ENDPOINT,)), Backend(2, (ENDPOINT, ENDPOINT))),
    group="g",
    limits=Limits(rate=5),
    mirrors=(Mirror("shadow", 10, (ENDPOINT,)), Mirror("away", 100)),
)
CANARY = replace(STABLE, name="canary", backends=(), limits=Limits(), mirrors=(), keep_path=True)
GROUP = Group(
    "g",
    (Token("group-secret", "group:g"),),
    (GroupMember("stable", 3), GroupMember("canary", 1)),
    (MemberRule("canary", header="x-tester", value="yes"),),
)
WORLD = World({"stable": STABLE, "canary": CANARY}, {"g": GROUP}, ("d", "d:80"))


def ask(path: str = "/api/predict/g/v1?a=b", world: World = WORLD, **headers: str) -> Explanation:
    named = {"authorization": "group-secret"} | {name.replace("_", "-"): v for name, v in headers.items()}
    host = named.pop("host", "x")
    return explain(Request("GET", host, path, named), world)


def test_every_decision_is_a_step_and_the_last_one_names_the_instances() -> None:
    found = ask()

    assert found.steps == (
        "the path names 'g'",
        "that is group g",
        "the token 'group:g' opens it, plain",
        "canary is left out: it has no ready instance",
    )
    assert (found.status, found.group, found.service, found.token) == (0, "g", "stable", "group:g")
    assert found.why == "goes to stable version 1 (0.3333), stable version 2 (0.6667)"
    assert found.path == "/v1?a=b"
    assert found.limits[0].startswith("networking.gateway_policy.rate_limit: 429 above 5 requests a second")
    assert found.mirrors == (
        "shadow gets copies of 10 % of requests",
        "away gets no copies: it has no ready instance",
    )


def test_where_chance_decides_each_share_is_said_and_each_sentence_names_its_service() -> None:
    canary = replace(CANARY, backends=(Backend(7, (ENDPOINT,)),))
    found = ask(world=replace(WORLD, services={"stable": STABLE, "canary": canary}))

    assert found.service == ""
    assert "weights decide: stable 0.75, canary 0.25" in found.steps
    assert [(each.service, each.backend.version, each.share) for each in found.targets] == [
        ("stable", 1, 0.25),
        ("stable", 2, 0.5),
        ("canary", 7, 0.25),
    ]
    assert "an instance of canary sees the path /api/predict/g/v1?a=b" in found.steps
    assert found.mirrors[0] == "stable: shadow gets copies of 10 % of requests"


def test_a_rule_that_holds_is_said() -> None:
    canary = replace(CANARY, backends=(Backend(7, (ENDPOINT,)),))
    found = ask(world=replace(WORLD, services={"stable": STABLE, "canary": canary}), x_tester="yes")

    assert found.service == "canary"
    assert found.steps[-1] == "the header x-tester=yes sends it to canary"


@pytest.mark.parametrize(
    ("path", "headers", "status", "step"),
    [
        (
            "/api/predict/g",
            {"authorization": "secret"},
            401,
            "the header Authorization shows none of its tokens",
        ),
        ("/api/predict/g", {"authorization": "EAS x"}, 401, "the signature fits none of its tokens"),
        (
            f"/api/predict/g?{'q' * 9000}",
            {"authorization": "EAS x"},
            401,
            "a signature is over at most 8192 bytes",
        ),
        ("/api/predict/nobody", {}, 404, "the path names 'nobody'"),
        ("/x", {"host": "G.d"}, 404, "names are in lower case, and this one is not"),
        ("/x", {"x_easel_service": "g.canary"}, 503, "the token 'group:g' opens it, plain"),
    ],
)
def test_a_refusal_says_at_which_step_it_comes(
    path: str, headers: dict[str, str], status: int, step: str
) -> None:
    found = ask(path, **headers)

    assert found.status == status
    assert found.steps[-1].startswith(step)
    assert not found.targets


def test_no_token_is_ever_shown() -> None:
    for headers in ({}, {"authorization": "Bearer secret"}, {"authorization": "wrong-secret"}):
        assert "secret" not in repr(ask(**headers))


def test_paths_of_the_gateway_itself_are_told_apart() -> None:
    assert "discovery" in ask("/api/v1/servicediscovery/upstreams/stable").why


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", 0xEF46DB3751D8E999),
        (b"a", 0xD24EC4F1A98C6E5B),
        (b"abc", 0x44BC2CF5AD770999),
        (b"Nobody inspects the spammish repetition", 0xFBCEA83C8A378BF1),
    ],
)
def test_the_hash_is_the_one_that_envoy_computes(content: bytes, expected: int) -> None:
    assert xxh64(content) == expected
