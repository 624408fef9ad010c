"""Why a request goes where it goes, on the command line."""

from easel.common.v1 import common_pb2 as common
from tests.support.command_line import CommandLine
from tests.support.fake_admin import FakeAdmin

URL = "http://gw:8800/api/predict/llm"


def test_the_way_of_a_request_is_a_tree_in_the_order_in_which_it_is_decided(
    easel: CommandLine, fake: FakeAdmin
) -> None:
    fake.traffic.explanation = common.RouteExplanation(
        gateway="gateway",
        generation=812,
        envoys=2,
        why="a ready instance of llm-v2 gets it",
        steps=["/api/predict/llm is the entry of group llm", "the header x-tester is 'yes': llm-v2"],
        group="llm",
        service="llm-v2",
        token="default",
        targets=[common.RouteTarget(service="llm-v2", version=3, share=1, endpoints=["10.0.0.1:20001"])],
        limits=["100 requests a second"],
        mirrors=["10% are copied to next"],
        path="/",
    )

    ran = easel("route", "explain", URL, "-H", "x-tester: yes", "-X", "post", "--with-token")

    (asked,) = fake.traffic.explained
    assert (asked.url, asked.method, dict(asked.headers)) == (URL, "POST", {"x-tester": "yes"})
    assert asked.with_token
    assert [line.lstrip("│├─└ ") for line in ran.out.splitlines()] == [
        f"POST {URL}",
        "gateway  gateway, generation 812 of the routes, 2 Envoys have it",
        "decided",
        "1. /api/predict/llm is the entry of group llm",
        "2. the header x-tester is 'yes': llm-v2",
        "group    llm",
        "service  llm-v2",
        "token    default",
        "path     /",
        "goes to",
        "100%  llm-v2 version 3: 10.0.0.1:20001",
        "limits",
        "100 requests a second",
        "copies",
        "10% are copied to next",
        "verdict  goes on: a ready instance of llm-v2 gets it",
    ]


def test_a_refusal_is_an_answer(easel: CommandLine, fake: FakeAdmin) -> None:
    fake.traffic.explanation = common.RouteExplanation(
        gateway="gateway", status=404, why="no service is called gone"
    )

    ran = easel("route", "explain", "/api/predict/gone")

    assert ran.code == 0
    assert "verdict  refused with 404: no service is called gone" in ran.out
    assert easel("route", "explain", "/api/predict/gone", "-o", "json").value["status"] == 404
    fake.traffic.explanation.status = 301
    assert "answered by the gateway with 301" in easel("route", "explain", "/x").out


def test_many_instances_are_counted_and_none_is_said(easel: CommandLine, fake: FakeAdmin) -> None:
    many = [f"10.0.0.{number}:80" for number in range(12)]
    fake.traffic.explanation = common.RouteExplanation(
        targets=[
            common.RouteTarget(service="a", version=1, share=0.9, endpoints=many),
            common.RouteTarget(service="b", version=1, share=0.1),
        ]
    )

    shown = easel("route", "explain", URL).out

    assert "10.0.0.9:80 and 2 more" in shown and "10.0.0.10:80" not in shown
    assert "10%  b version 1: no ready instance" in shown
    assert easel("route", "explain", URL, "-H", "odd").code == 2


def test_the_clients_address_is_one_of_ip(easel: CommandLine, fake: FakeAdmin) -> None:
    fake.traffic.explanation = common.RouteExplanation(why="the gateway answers this path itself")

    assert easel("route", "explain", URL, "--from", "10.0.0.7").out.endswith(
        "verdict  answered: the gateway answers this path itself\n"
    )
    assert fake.traffic.explained[0].from_address == "10.0.0.7"
    refused = easel("route", "explain", URL, "--from", "home")
    assert refused.code == 2
    assert "--from: got 'home', expected an IP address such as 10.0.0.7" in refused.err
