"""What settings of a gateway come to, without an Envoy."""

import asyncio
import ipaddress
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from libs.domain.errors import InvalidRequest
from services.gateway.certificates import CertificateState, judged
from services.gateway.condition import Condition, Conditions
from services.gateway.envoy import capacity
from services.gateway.hosting import hosted_settings, may_be_directory
from services.gateway.key_pairs import KeyPairs
from services.gateway.routes import Domain, EdgeSettings, HostedGateway
from services.gateway.settings import Settings
from services.gateway.surroundings import body_limit, domains_of, surroundings_of
from services.gateway.xds.edge import KeyPair
from services.gateway.xds.networks import let_in
from tests.support.certificates import Authority
from tests.support.waiting import until

MIB = 1024 * 1024
AUTHORITY = Authority()
NETWORKS = st.one_of(
    st.builds(
        lambda address, length: str(ipaddress.ip_network((address, length), strict=False)),
        st.integers(0, 2**32 - 1),
        st.integers(0, 32),
    ),
    st.builds(
        lambda address, length: str(ipaddress.ip_network((address, length), strict=False)),
        st.integers(2**127, 2**128 - 1),
        st.integers(0, 128),
    ),
)


def a_domain(name: str = "example.org") -> Domain:
    signed = AUTHORITY.signed(name)
    return Domain(name, signed.certificate, signed.key)


def settings(**more: object) -> Settings:
    return Settings.model_validate({"listen": "0.0.0.0:8800", "domain": "easel.local"} | more)


def test_a_service_has_a_name_in_every_domain_with_each_port_that_clients_write() -> None:
    edge = EdgeSettings(tls_port=443, domains=(Domain("a.org"), Domain("easel.local")))

    assert domains_of(settings(public_url="http://x:9000"), edge) == (
        *("easel.local", "easel.local:8800", "easel.local:9000", "easel.local:443"),
        *("a.org", "a.org:8800", "a.org:9000", "a.org:443"),
    )


@pytest.mark.parametrize(
    ("own", "set_for_it", "limit"),
    [
        ({}, EdgeSettings(), MIB),
        ({"name": "ours"}, EdgeSettings(), 0),
        ({"name": "ours", "body_limit_bytes": 7}, EdgeSettings(), 7),
        ({"body_limit_bytes": 0}, EdgeSettings(), 0),
        ({"body_limit_bytes": 7}, EdgeSettings(body_limit_bytes=9), 9),
        ({"body_limit_bytes": 7}, EdgeSettings(no_body_limit=True), 0),
    ],
)
def test_the_body_limit_is_what_was_set_nearest_and_a_mebibyte_on_the_shared_gateway(
    own: dict[str, object], set_for_it: EdgeSettings, limit: int
) -> None:
    assert body_limit(settings(**own), set_for_it) == limit


@pytest.mark.parametrize("name", ["body_limit_bytes", "max_heap_mib", "max_connections"])
def test_bounds_below_nothing_are_refused(name: str) -> None:
    with pytest.raises(ValidationError, match=f"{name} must be 0 or more"):
        settings(**{name: -1})


def test_an_envoy_may_take_a_share_of_its_machine_by_default() -> None:
    assert capacity.heap_mib() % 256 == 0
    assert capacity.heap_mib() >= 512
    assert capacity.connections() > 0


@given(st.lists(NETWORKS, max_size=4), st.lists(NETWORKS, max_size=4), st.integers(0, 2**32 - 1))
def test_the_ranges_let_in_are_exactly_the_allowed_ones_without_the_denied(
    allow: list[str], deny: list[str], number: int
) -> None:
    caller = ipaddress.IPv4Address(number)

    ranges = let_in(tuple(allow), tuple(deny))

    inside = any(
        caller in ipaddress.ip_network(f"{each.address_prefix}/{each.prefix_len.value}") for each in ranges
    )
    allowed = not allow or any(caller in ipaddress.ip_network(each) for each in allow)
    denied = any(caller in ipaddress.ip_network(each) for each in deny)
    if number != 2**32 - 1:  # which stands for nobody
        assert inside == (allowed and not denied) or not (allow or deny)


def test_a_hosted_gateway_has_the_settings_of_its_host_but_for_what_is_its_own() -> None:
    own = settings(join_token="secret", xds_listen="0.0.0.0:1", public_url="http://main", access_log="/a")

    hosted = hosted_settings(own, Path("/data/gateways"), HostedGateway("ours", 9000, 4, "http://ours"))

    assert (hosted.name, hosted.listen, hosted.public_url) == ("ours", "0.0.0.0:9000", "http://ours")
    assert (hosted.data_dir, hosted.envoy_concurrency) == (Path("/data/gateways/ours"), 4)
    assert (hosted.xds_listen, hosted.access_log, hosted.hosts) == ("", None, False)
    assert hosted.token() == "secret"


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", ".hidden", "a\0b"])
def test_a_name_that_is_no_directory_inside_is_not_run(name: str) -> None:
    assert not may_be_directory(name)


def test_the_gateway_of_a_node_hosts_no_other() -> None:
    assert settings().hosts
    assert not settings(name="node-n1", node="n1", direct_address="10.0.0.1:8800").hosts
    assert not settings(envoy=False).hosts
    assert not settings(hosting=False).hosts


def pem_of(key: object, password: bytes | None = None) -> str:
    sealed = BestAvailableEncryption(password) if password else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, sealed).decode()  # type: ignore[attr-defined]


def test_a_key_that_envoy_would_refuse_is_refused_with_a_sentence() -> None:
    signed = AUTHORITY.signed("example.org")
    locked = pem_of(load_pem_private_key(signed.key.encode(), None), b"password")
    short = pem_of(rsa.generate_private_key(65537, 1024))
    other = pem_of(ed25519.Ed25519PrivateKey.generate())

    for key, why in (
        (locked, "key: got 'an encrypted key', expected a PEM key without a password"),
        (short, "key: got 'RSA with 1024 bits', expected at least 2048 bits"),
        (other, "expected RSA, or an elliptic curve P-256, P-384 or P-521"),
    ):
        with pytest.raises(InvalidRequest) as refused:
            judged(KeyPair(signed.certificate, key))
        assert why in str(refused.value)


# A key of the curve secp112r1, which the library that reads keys does not know.
UNKNOWN_CURVE = """-----BEGIN EC PRIVATE KEY-----
MD4CAQEEDpbGHIt37AZmkNYdWsb2oAcGBSuBBAAGoSADHgAEPxtCQKB+eDD/uvqM
uO+DsJbiJ1/F6NyRgW3nAQ==
-----END EC PRIVATE KEY-----
"""


def test_a_key_of_an_unknown_kind_is_refused_with_a_sentence_too() -> None:
    signed = AUTHORITY.signed("example.org")

    with pytest.raises(InvalidRequest) as refused:
        judged(KeyPair(signed.certificate, UNKNOWN_CURVE))

    assert "expected RSA, or an elliptic curve P-256, P-384 or P-521" in str(refused.value)


@asynccontextmanager
async def looking(pairs: KeyPairs) -> AsyncIterator[None]:
    stop = asyncio.Event()
    task = asyncio.create_task(pairs.run(stop))
    yield
    stop.set()
    await task


async def test_pairs_are_kept_readable_by_their_owner_alone_and_forgotten_with_their_domain(
    tmp_path: Path,
) -> None:
    domain, pairs = a_domain(), KeyPairs(tmp_path / "pairs")
    async with looking(pairs):
        await until(lambda: pairs.of((domain,)), "the pair to be in force")
        await until((tmp_path / "pairs").exists, "the pair to be kept")
        assert (tmp_path / "pairs").stat().st_mode & 0o777 == 0o600
        again = KeyPairs(tmp_path / "pairs")
        again.restore()
        assert again.of((domain,)) == pairs.of((domain,))

        pairs.of(())
        await until(lambda: "example.org" not in (tmp_path / "pairs").read_text(), "the pair to be gone")


async def test_what_holds_is_told_once_for_each_change(tmp_path: Path) -> None:
    conditions, told = Conditions(), list[Condition]()
    conditions.on_changed = told.append

    conditions.say("listen", "port 1 is taken")
    conditions.say("listen", "port 1 is taken")
    conditions.certificates((CertificateState("a.org", why="no file"),))
    conditions.say("listen", "")

    assert [each.why for each in told] == [
        "port 1 is taken",
        "port 1 is taken; certificate of a.org: no file",
        "certificate of a.org: no file",
    ]


async def test_listeners_are_built_again_only_when_something_differs(tmp_path: Path) -> None:
    pairs = KeyPairs(tmp_path / "pairs")
    build = surroundings_of(settings(data_dir=tmp_path), pairs)
    edge = EdgeSettings(tls_port=443, domains=(a_domain(),))

    first = build(edge)

    assert build(replace(edge)) is first
    assert build(replace(edge, max_connections=5)) is not first
    async with looking(pairs):
        await until(
            lambda: {"easel-tls", "domain/example.org"} <= {each.key.name for each in build(edge).resources},
            "the certificate to be in the listeners",
        )
