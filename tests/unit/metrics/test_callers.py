"""Who may call metrics, as the scheduler told last."""

import hashlib

import pytest
from pydantic import ValidationError

from easel.facts.v1 import facts_pb2
from libs.domain.states import TokenRole
from libs.rpc.interceptors import guards
from services.metrics.callers import known_to
from services.metrics.facts import Facts
from services.metrics.settings import Settings


def told(*tokens: str, full: bool = False) -> facts_pb2.WatchResponse:
    hashes = [hashlib.sha256(each.encode()).hexdigest() for each in tokens]
    return facts_pb2.WatchResponse(full=full, join_tokens=facts_pb2.JoinTokens(sha256=hashes))


def test_its_own_token_opens_it_before_the_scheduler_said_anything() -> None:
    role_of = known_to(Facts(), "own")

    assert role_of("own") is TokenRole.JOIN
    assert role_of("another") is None


def test_without_a_token_of_its_own_an_empty_one_opens_nothing() -> None:
    assert known_to(Facts(), "")("") is None


def test_every_join_token_opens_it_until_it_is_deleted() -> None:
    facts = Facts()
    role_of = known_to(facts, "own")
    facts.take(told("first", "second", full=True))
    assert [role_of(each) for each in ("own", "first", "second")] == [TokenRole.JOIN] * 3

    facts.take(told("second"))
    assert [role_of(each) for each in ("own", "first", "second")] == [TokenRole.JOIN, None, TokenRole.JOIN]


def test_what_says_nothing_of_tokens_changes_none() -> None:
    facts = Facts()
    facts.take(told("first"))
    facts.take(facts_pb2.WatchResponse(full=True))

    assert known_to(facts, "")("first") is TokenRole.JOIN


def test_a_unix_socket_asks_for_no_token() -> None:
    role_of = known_to(Facts(), "own")

    assert len(guards("unix:/run/metrics.sock", ["a"], role_of)) == 1
    assert len(guards("127.0.0.1:8803", ["a"], role_of)) == 2


def test_it_listens_at_several_addresses() -> None:
    assert Settings(listen="unix:/run/m.sock, 10.0.0.1:8803").addresses == (
        "unix:/run/m.sock",
        "10.0.0.1:8803",
    )
    assert Settings(listen="[::]:8803").addresses == ("[::]:8803",)


@pytest.mark.parametrize("listen", ["", ",", "unix:/run/m.sock,8803", "10.0.0.1:8803,10.0.0.2:x"])
def test_an_address_that_is_none_is_refused(listen: str) -> None:
    with pytest.raises(ValidationError, match="listen: got"):
        Settings(listen=listen)
