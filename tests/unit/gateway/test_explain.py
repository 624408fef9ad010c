"""What is said of a request, sentence by sentence."""

from dataclasses import replace

import pytest

from services.gateway.routes import (
    Backend,
    Endpoint,
    Group,
    GroupMember,
    Hold,
    Limits,
    MemberRule,
    Mirror,
    Service,
    Token,
)
from services.gateway.routing.arrival import Arrival
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


@pytest.mark.parametrize(
    ("path", "word"),
    [
        ("/api/v1/servicediscovery/upstreams/stable", "discovery"),
        ("/exported/apis/eas.alibaba-inc.k8s.io/v1/upstreams/stable", "discovery"),
        ("/easel/open/stable", "opens the pages"),
    ],
)
def test_paths_of_the_gateway_itself_are_told_apart(path: str, word: str) -> None:
    found = ask(path)

    assert found.why.startswith("the gateway answers this path itself, ") and word in found.why
    assert found.status == 0 and not found.targets


def arriving(arrival: Arrival, address: str = "", scheme: str = "") -> Explanation:
    request = Request("GET", "x", "/api/predict/g", {"authorization": "group-secret"}, address, scheme)
    return explain(request, replace(WORLD, arrival=arrival))


@pytest.mark.parametrize(
    ("arrival", "address", "status", "step"),
    [
        (Arrival(deny=("0.0.0.0/0",)), "", 403, "that leaves nobody who is let in"),
        (Arrival(("10.0.0.0/8",), ("10.0.0.0/8",)), "", 403, "that leaves nobody who is let in"),
        (Arrival(("10.0.0.0/8",)), "11.0.0.1", 403, "11.0.0.1 is not let in"),
        (Arrival(("10.0.0.0/8",), ("10.1.0.0/16",)), "10.1.2.3", 403, "10.1.2.3 is not let in"),
        (Arrival(("10.0.0.0/8",), ("10.1.0.0/16",)), "10.2.2.3", 0, "10.2.2.3 is let in"),
        (Arrival(("fd00::/8",), ipv6=True), "fd00::1", 0, "fd00::1 is let in"),
        (
            Arrival(("10.0.0.0/8",), ("10.1.0.0/16",)),
            "",
            0,
            "not every network may call (allowed: 10.0.0.0/8; denied: 10.1.0.0/16)",
        ),
        (Arrival(("10.0.0.0/8",)), "", 0, "what follows holds for clients that are let in"),
    ],
)
def test_the_lists_of_the_edge_decide_first(arrival: Arrival, address: str, status: int, step: str) -> None:
    found = arriving(arrival, address)

    assert found.status == status
    assert any(each.startswith(step) for each in found.steps)


def test_plain_requests_are_said_to_be_sent_on_to_https() -> None:
    arrival = Arrival(redirect_port=8443)

    assert arriving(arrival, scheme="http").status == 308
    assert "https at port 8443" in arriving(arrival, scheme="http").why
    assert arriving(arrival, scheme="https").status == 0
    unknown = arriving(arrival)
    assert unknown.status == 0 and "what follows holds for https" in unknown.steps[0]
    shut = replace(arrival, deny=("10.0.0.0/8",))
    assert arriving(shut, "10.0.0.1", "http").status == 403


def test_discovery_is_answered_without_tls_and_the_opening_of_pages_is_not() -> None:
    def asked(path: str) -> Explanation:
        request = Request("GET", "gw", path, {}, scheme="http")
        return explain(request, replace(WORLD, arrival=Arrival(redirect_port=8443)))

    assert asked("/api/v1/servicediscovery/upstreams/svc").status == 0
    assert asked("/exported/apis/eas.alibaba-inc.k8s.io/v1/upstreams/svc").status == 0
    assert asked("/easel/open/svc").status == 308


def test_the_body_limit_is_one_of_the_limits_but_not_of_grpc() -> None:
    limit = "the gateway's body limit: 413 above 1 MiB"
    assert limit in arriving(Arrival(body_limit=2**20)).limits
    services = {"stable": replace(STABLE, grpc=True), "canary": CANARY}
    world = replace(WORLD, services=services, arrival=Arrival(body_limit=2**20))
    assert limit not in ask(world=world).limits


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


def test_a_request_that_would_wait_is_told_so_and_which_bounds_there_are() -> None:
    asleep = replace(STABLE, backends=(Backend(2),), hold=Hold(requests=10))
    woken = replace(CANARY, backends=(Backend(1, (ENDPOINT,)),), hold=Hold())
    sleeping = replace(WORLD, services={"stable": asleep})

    alone = ask(world=sleeping)
    beside_another = ask(world=replace(WORLD, services={"stable": asleep, "canary": woken}))

    assert (alone.status, alone.service) == (0, "stable")
    assert alone.why == (
        "waits for an instance of stable: none is ready, and a request that waits has one started"
    )
    assert (
        "autoscaler.behavior.onZero: 503 when 10 requests or 256 MiB of them wait already, or after 300 s"
        in alone.limits
    )
    assert "stable is left out: it has no ready instance" in beside_another.steps
    assert beside_another.service == "canary"
