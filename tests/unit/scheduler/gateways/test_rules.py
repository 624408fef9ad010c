"""What may be set for a gateway, and what is refused in which words."""

from dataclasses import replace
from typing import Any

import pytest

from libs.db.changes import Changes, Record
from libs.domain.assets import Secret
from libs.domain.errors import AlreadyExists, FailedPrecondition, InvalidRequest
from libs.domain.traffic import Gateway, GatewayDomain, Group, Registry
from services.scheduler.gateways import registries
from services.scheduler.gateways.address import url_of
from services.scheduler.gateways.rules import created, deleted, updated
from tests.support.builders import NOON, a_service, a_spec, a_version, a_world, at

PEM = Secret("api-tls", ("certificate", "key"), "sealed", NOON, NOON, revision=1)


def a_gateway(name: str = "gw-edge", **fields: Any) -> Gateway:
    return replace(Gateway(name, NOON, NOON, host="gateway", port=9000, revision=1), **fields)


def the_refusal(*there: Record, name: str = "gw-new", **fields: Any) -> str:
    with pytest.raises(InvalidRequest) as caught:
        created(a_world(*there), a_gateway(name, **{"port": 9100, **fields}), NOON)
    return str(caught.value)


def test_a_gateway_is_run_by_the_shared_one_or_dials_in_by_itself() -> None:
    world = a_world()

    (hosted,) = created(world, a_gateway(), at(5)).put
    (alone,) = created(world, a_gateway(host="", port=0), at(5)).put

    assert (hosted.revision, hosted.created_at) == (0, at(5))  # type: ignore[union-attr]
    assert alone == replace(a_gateway(host="", port=0), created_at=at(5), updated_at=at(5), revision=0)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (
            {"name": "Edge"},
            "name: got 'Edge', expected up to 63 lower-case letters, digits and `-` between them",
        ),
        ({"host": "nobody"}, "host: got 'nobody', expected a gateway with a process of its own (gateway)"),
        (
            {"host": ""},
            "port: got 9100, expected nothing: the process of 'gw-new' has it in its own settings",
        ),
        ({"port": 0}, "port: got 0, expected the port at which its Envoy listens"),
        ({"tls_port": 70000}, "tls_port: got 70000, expected a port from 1 to 65535"),
        ({"tls_port": 9100}, "tls_port: got 9100, expected a port other than `port`"),
        ({"allow": ("10.0.0.0/33",)}, "allow: got '10.0.0.0/33', expected a network such as 10.0.0.0/8"),
        ({"body_limit_bytes": -2}, "body_limit_bytes: got -2, expected bytes, 0 for the default or -1"),
        ({"public_url": "edge"}, "public_url: got 'edge', expected an address that begins with http://"),
        ({"public_url": "http://edge\r\nx"}, "public_url: got 'http://edge\\r\\nx', expected an address"),
        (
            {"domains": (GatewayDomain("nohost"),)},
            "domains: got 'nohost', expected a host name in lower case",
        ),
        (
            {"redirect_https": True},
            "tls_port: got 0, expected a port, and a domain with a certificate, since redirect_https sends",
        ),
        (
            {"redirect_https": True, "tls_port": 9443, "domains": (GatewayDomain("a.example.com"),)},
            "domains: got 'a.example.com', expected a domain with a certificate, since redirect_https sends",
        ),
        ({"deny": ("10.0.0.5/8",)}, "deny: got '10.0.0.5/8', expected 10.0.0.0/8; host bits are set, beyond"),
        ({"deny": ("fd00::1/8",)}, "deny: got 'fd00::1/8', expected fd00::/8; host bits are set, beyond"),
        ({"upstream_tls_secret": "gone"}, "upstream_tls_secret: got 'gone', expected an existing secret"),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(fields: dict[str, Any], words: str) -> None:
    assert the_refusal(**fields).startswith(words)


def test_a_certificate_needs_its_secret_with_both_keys_and_a_port_for_tls() -> None:
    domains = (GatewayDomain("api.example.com", secret="api-tls"),)

    assert the_refusal(domains=domains, tls_port=9443) == (
        "domains[api.example.com]: got 'api-tls', "
        "expected an existing secret; make it with `easel secret set NAME KEY=VALUE`"
    )
    half = replace(PEM, keys=("certificate",))
    assert the_refusal(half, domains=domains, tls_port=9443).endswith("it lacks key")
    assert the_refusal(PEM, domains=domains) == (
        "tls_port: got 0, expected a port, since api.example.com has a certificate"
    )
    assert created(a_world(PEM), a_gateway(domains=domains, tls_port=9443), NOON)
    both = (*domains, GatewayDomain("b.example.com", secret="api-tls"))
    assert the_refusal(PEM, domains=both).endswith("api.example.com and b.example.com have a certificate")


def test_no_two_gateways_have_one_domain_or_one_port_of_a_host() -> None:
    there = a_gateway(tls_port=9443, domains=(GatewayDomain("api.example.com"),))

    assert the_refusal(there, port=9443).endswith(
        "expected a port that is free on its host; gateway 'gw-edge' has it"
    )
    assert "'gw-edge' has it" in the_refusal(there, domains=(GatewayDomain("api.example.com"),))
    own = replace(there, name="gw-own", host="", port=0, tls_port=9000, domains=())
    assert created(a_world(there), own, NOON)


def test_a_port_at_which_the_process_of_its_host_listens_is_no_gateways() -> None:
    asked, listening = a_gateway("gw-new", port=8800), {"gateway": 8800, "gw-own": 9100}

    with pytest.raises(InvalidRequest, match=r"port: got 8800, expected .*; gateway 'gateway' has it"):
        created(a_world(), asked, NOON, listening)
    with pytest.raises(InvalidRequest, match=r"tls_port: got 8800, expected .*; gateway 'gateway' has it"):
        updated(a_world(), Gateway("gateway", NOON, NOON, tls_port=8800), ["tls_port"], NOON, listening)
    # On the host of another process it is free.
    assert created(a_world(), replace(asked, port=9100), NOON, listening)


def test_the_shared_gateway_cannot_be_deleted() -> None:
    for world in (a_world(), a_world(a_gateway("gateway", host="", port=0))):
        with pytest.raises(FailedPrecondition, match="is the shared gateway, which is always there"):
            deleted(world, "gateway", NOON)


@pytest.mark.parametrize(
    ("fields", "url"),
    [
        ({}, "https://api.example.com:9443"),
        ({"tls_port": 443}, "https://api.example.com"),
        ({"public_url": "https://elsewhere"}, "https://elsewhere"),
        ({"redirect_https": False}, ""),
    ],
)
def test_where_all_is_redirected_the_address_with_tls_is_the_one(fields: dict[str, Any], url: str) -> None:
    domains = (GatewayDomain("plain.example.com"), GatewayDomain("api.example.com", secret="api-tls"))
    usual = {"tls_port": 9443, "domains": domains, "redirect_https": True}

    assert url_of(a_gateway(**{**usual, **fields})) == url


def test_a_port_that_a_load_balancer_has_is_no_gateways() -> None:
    spec = {**a_spec(), "networking": {"nlb": [{"id": "default", "listener_port": 9100}]}}

    words = the_refusal(a_service(), a_version(spec=spec))

    assert words.endswith("networking.nlb of service 'digits' has it")


def test_an_update_takes_over_the_fields_it_names() -> None:
    world = a_world(a_gateway(allow=("10.0.0.0/8",)))

    (after,) = updated(world, a_gateway(keepalive_ms=1000), ["keepalive_ms"], at(5)).put

    assert after == a_gateway(allow=("10.0.0.0/8",), keepalive_ms=1000, updated_at=at(5))
    assert updated(world, a_gateway(), ["port"], at(5)) == Changes()
    with pytest.raises(InvalidRequest, match="fields: got 'envoys', expected fields that can be set"):
        updated(world, a_gateway(), ["envoys"], NOON)


def test_a_record_of_the_shared_gateway_is_made_when_something_is_set_for_it() -> None:
    asked = Gateway("gateway", NOON, NOON, max_connections=10)

    (made,) = updated(a_world(), asked, ["max_connections"], at(5)).put

    assert made == replace(asked, created_at=at(5), updated_at=at(5))
    with pytest.raises(AlreadyExists, match="is always there; update it instead"):
        created(a_world(), asked, NOON)


def test_a_gateway_with_something_on_it_is_not_deleted() -> None:
    edge, services = a_gateway(), [a_service(f"svc-{n}", gateway="gw-edge") for n in range(7)]

    with pytest.raises(FailedPrecondition) as caught:
        deleted(a_world(edge, *services), "gw-edge", NOON)
    assert str(caught.value).startswith(
        "gateway 'gw-edge' has services 'svc-0', 'svc-1', 'svc-2', 'svc-3', 'svc-4' and 2 more; move"
    )

    group = Group("both", "token", NOON, NOON, gateway="gw-edge")
    with pytest.raises(FailedPrecondition, match="has group 'both'; move"):
        deleted(a_world(edge, group), "gw-edge", NOON)
    assert deleted(a_world(edge), "gw-edge", NOON).delete == (edge,)


def test_a_registry_is_put_once_changed_as_a_whole_and_kept_while_it_is_used() -> None:
    lab = Registry("lab", "nacos", "http://nacos:8848", NOON, revision=1)

    assert registries.put(a_world(lab), lab, at(5)) == Changes()
    (after,) = registries.put(a_world(lab), replace(lab, group="prod", revision=0), at(5)).put
    assert after == replace(lab, group="prod")
    with pytest.raises(FailedPrecondition, match="digits is written to registry 'lab'; change that first"):
        registries.deleted(a_world(lab), "lab", ["digits"], NOON)
    with pytest.raises(InvalidRequest, match="kind: got 'consul', expected nacos"):
        registries.put(a_world(), replace(lab, kind="consul"), NOON)
