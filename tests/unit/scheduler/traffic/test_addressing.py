"""Which gateway an address leads to."""

import pytest

from easel.common.v1.common_pb2 import RouteExplanation
from libs.domain.errors import InvalidRequest
from libs.domain.traffic import Group
from services.scheduler.traffic.addressing import (
    Addressed,
    Reached,
    addressed,
    client_address,
    elsewhere,
    token_of_entry,
)
from services.scheduler.traffic.naming import with_token_named
from tests.support.builders import NOON, a_service, a_world

WORLD = a_world(
    a_service("digits", gateway="gw-edge", token="of digits"),
    a_service("one", group="both", token="of one"),
    Group("both", "of both", NOON, NOON),
)
KNOWN = (
    Reached("gateway", ("10.0.0.9:8800",), ("easel.local",)),
    Reached("gw-edge", ("edge.example",), ("api.example.com",)),
    Reached("n1", ("10.0.0.1:8810",)),
)


@pytest.mark.parametrize(
    ("url", "gateway", "entry"),
    [
        ("http://10.0.0.9:8800/api/predict/digits/x?y=1", "gateway", "digits"),
        ("https://edge.example:443/api/predict/any", "gw-edge", "any"),
        ("http://edge.example/api/predict/any", "gw-edge", "any"),
        ("http://10.0.0.1:8810/api/predict/one", "n1", "one"),
        ("http://digits.api.example.com:9000/", "gw-edge", "digits"),
        ("http://both.one.easel.local/", "gateway", "both.one"),
        ("http://api.example.com/api/predict/digits", "gw-edge", "digits"),
        ("/api/predict/digits", "gw-edge", "digits"),
        ("/api/predict/both.one", "gateway", "both.one"),
        ("/api/predict/nobody", "gateway", "nobody"),
    ],
)
def test_an_address_leads_to_the_gateway_that_has_it(url: str, gateway: str, entry: str) -> None:
    found = addressed(WORLD, url, (), KNOWN)

    assert (found.gateway, found.entry) == (gateway, entry)


def test_a_path_alone_is_asked_at_the_address_of_its_gateway() -> None:
    assert addressed(WORLD, "/api/predict/digits?x=1", (), KNOWN) == Addressed(
        "gw-edge", "edge.example", "/api/predict/digits?x=1", "digits"
    )


def test_a_header_may_name_the_service() -> None:
    assert addressed(WORLD, "/x", [("X-Easel-Service", "digits")], KNOWN).gateway == "gw-edge"


def test_an_address_of_no_gateway_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="expected an address of a gateway"):
        addressed(WORLD, "http://edge.example:9/api/predict/any", (), KNOWN)


def test_what_is_no_url_is_refused() -> None:
    for url in ("", "digits", "ftp://edge.example/", "//edge.example/x", "http://[::1/"):
        with pytest.raises(InvalidRequest, match="expected a URL such as"):
            addressed(WORLD, url, (), KNOWN)


def test_the_token_is_that_of_the_entry() -> None:
    found = [
        token_of_entry(WORLD, entry) for entry in ("digits", "both", "both.one", "both.digits", "nobody")
    ]

    assert found == ["of digits", "of both", "of one", "", ""]


def test_each_address_of_a_gateway_is_named_once() -> None:
    with pytest.raises(InvalidRequest) as refused:
        addressed(WORLD, "http://nowhere/", (), (*KNOWN, *KNOWN))

    assert str(refused.value).count("edge.example") == 1


@pytest.mark.parametrize(
    ("url", "where"),
    [
        (
            "http://10.0.0.9:8800/api/predict/digits",
            "service 'digits' is on gateway 'gw-edge', not on this one",
        ),
        ("http://edge.example/api/predict/both", "group 'both' is on gateway 'gateway', not on this one"),
        ("http://edge.example/api/predict/both.one", "group 'both' is on gateway 'gateway', not on this one"),
        ("http://edge.example/api/predict/digits", ""),
        ("http://edge.example/api/predict/nobody", ""),
    ],
)
def test_what_is_on_another_gateway_is_said_to_be_there(url: str, where: str) -> None:
    assert elsewhere(WORLD, addressed(WORLD, url, (), KNOWN)) == where


def test_a_clients_address_is_one_of_ip() -> None:
    assert client_address("") == ""
    assert client_address("::ffff:10.0.0.7") == "10.0.0.7"
    with pytest.raises(InvalidRequest, match="from_address: got 'home', expected an IP address"):
        client_address("home")


def test_a_token_is_called_by_its_name_once_it_has_one() -> None:
    step = "the token 'group:both' opens it, plain"
    found = RouteExplanation(token="group:both", steps=["the path names 'both'", step])

    named = with_token_named(WORLD, found)

    assert named.token == "default"
    assert named.steps[1] == "the token 'default' of group both opens it, plain"
    assert with_token_named(WORLD, RouteExplanation(token="gone")).token == "gone"
