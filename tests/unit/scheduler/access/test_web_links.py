"""Links that open a service's pages: signed, bounded, without a token in them."""

from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest

from libs.domain.errors import FailedPrecondition, InvalidRequest
from libs.web_links import signature
from services.scheduler.access.web_links import expiry, host_url, web_link
from tests.support.builders import NOON, a_service, at


def test_a_link_is_signed_for_its_service_and_its_end() -> None:
    link = web_link(a_service(token="t0ken"), True, "http://127.0.0.1:8800", at(300))
    query = parse_qs(urlsplit(link).query)

    assert urlsplit(link).path == "/easel/open/digits"
    assert query["until"] == [str(int(at(300).timestamp()))]
    assert query["sig"] == [signature("t0ken", "digits", query["until"][0])]
    assert "t0ken" not in link


def test_other_tokens_services_and_ends_have_other_signatures() -> None:
    signed = {
        signature(*each) for each in (("t", "a", "1"), ("u", "a", "1"), ("t", "b", "1"), ("t", "a", "2"))
    }
    assert len(signed) == 4


def test_a_service_without_pages_has_no_link() -> None:
    with pytest.raises(FailedPrecondition, match="enable_webservice"):
        web_link(a_service(), False, "http://127.0.0.1:8800", at(300))


def test_a_link_ends_after_five_minutes_or_when_it_is_asked_to_within_a_day() -> None:
    assert expiry(None, NOON) == at(300)
    assert expiry(timedelta(hours=2), NOON) == at(7200)
    for odd in (timedelta(), timedelta(seconds=-1), timedelta(days=2)):
        with pytest.raises(InvalidRequest, match="a day at most"):
            expiry(odd, NOON)


def test_a_services_own_host_keeps_scheme_and_port() -> None:
    assert host_url("https://gate.example:8443", "digits", "ai.example") == "https://digits.ai.example:8443"
    assert host_url("http://gate.example", "digits", "ai.example") == "http://digits.ai.example"
