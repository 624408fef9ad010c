"""How it stands with a gateway, from what is set and what its connections say."""

from typing import Any

from libs.domain.traffic import Gateway
from services.scheduler.gateways.standing import standing
from services.scheduler.routes.gateways import Gateway as Link
from services.scheduler.routes.held import Held
from services.scheduler.routes.journal import Audience
from tests.support.builders import NOON

EDGE = Gateway("edge", NOON, NOON, host="gateway", port=18801)


def a_link(**fields: Any) -> Link:
    usual = {"name": "edge", "public_url": "", "envoys": 1, "port": 18801, "joined": 1, "joined_at": NOON}
    return Link(**{**usual, **fields}, audience=Audience("edge"), held=Held({}))


def test_one_that_is_not_connected_says_what_is_missing() -> None:
    hosted, alone = standing("edge", EDGE, []), standing("own", None, [])

    assert not hosted.connected and hosted.why == "the process of gateway 'gateway' does not run it yet"
    assert alone.why.endswith("one is started with EASEL_GATEWAY_NAME=own")


def test_one_without_an_envoy_serves_nothing_and_says_why() -> None:
    taken = standing("edge", EDGE, [a_link(envoys=0, why="port 18801 is taken")])

    assert taken.connected and not taken.serves and taken.why == "port 18801 is taken"
    assert standing("edge", EDGE, [a_link(envoys=0)]).why.startswith("it has no Envoy yet")


def test_one_that_serves_says_nothing_until_it_is_to_go_to_another_port() -> None:
    assert standing("edge", EDGE, [a_link()]).why == ""
    assert standing("edge", EDGE, [a_link(port=0)]).why == ""
    moving = standing("edge", EDGE, [a_link(port=18800)])
    assert moving.serves and moving.why == "it is at port 18800 still, on its way to port 18801"


def test_one_that_nobody_created_serves_nobody_but_its_node() -> None:
    assert "nobody has created" in standing("edge", None, [a_link()]).why
    assert standing("edge", None, [a_link(node="n1")]).why == ""
