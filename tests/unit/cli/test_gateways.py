"""Gateways and registries on the command line, against an admin API in memory."""

from datetime import timedelta
from pathlib import Path

import pytest

from easel.admin.v1 import admin_pb2 as pb
from easel.common.v1 import common_pb2 as common
from tests.support.command_line import CommandLine
from tests.support.fake_admin import FakeAdmin


def test_a_gateway_is_made_with_everything_that_may_be_set(easel: CommandLine, fake: FakeAdmin) -> None:
    ran = easel(
        *("gateway", "create", "edge", "--port", "8443", "--tls-port", "8444", "--workers", "2"),
        *(
            "--domain",
            "a.example=secret:a-tls",
            "--domain",
            "b.example=c.pem,/keys/k.pem",
            "--domain",
            "c.example",
        ),
        *("--redirect-https", "--allow", "10.0.0.0/8", "--allow", "192.168.0.0/16", "--deny", "10.1.0.0/16"),
        *("--body-limit", "10MB", "--keepalive", "10m", "--max-connections", "1000"),
        *("--upstream-tls", "mesh", "--public-url", "https://a.example"),
    )

    assert ran.code == 0
    assert ran.err.startswith("edge is created; gateway runs its Envoy\n")
    made = fake.traffic.gateways["edge"]
    assert (made.host, made.port, made.tls_port, made.workers) == ("gateway", 8443, 8444, 2)
    assert [(each.name, each.secret) for each in made.domains] == [
        ("a.example", "a-tls"),
        ("b.example", ""),
        ("c.example", ""),
    ]
    assert (made.domains[1].certificate_file, made.domains[1].key_file) == (
        str(Path("c.pem").absolute()),
        "/keys/k.pem",
    )
    assert made.redirect_https and list(made.allow) == ["10.0.0.0/8", "192.168.0.0/16"]
    assert list(made.deny) == ["10.1.0.0/16"]
    assert (made.body_limit_bytes, made.keepalive_ms, made.max_connections) == (10_000_000, 600_000, 1000)
    assert (made.upstream_tls_secret, made.public_url) == ("mesh", "https://a.example")


def test_a_gateway_of_its_own_process_says_how_to_run_it(easel: CommandLine, fake: FakeAdmin) -> None:
    ran = easel("gateway", "create", "edge", "--own-process")

    assert ran.code == 0 and "EASEL_GATEWAY_NAME=edge python -m services.gateway" in ran.err
    assert "nothing is answered there yet: it has not connected yet" in ran.err
    assert fake.traffic.gateways["edge"].host == ""
    assert easel("gateway", "create", "edge").code == 4
    assert easel("gateway", "create", "other", "--own-process", "--host", "gateway").code == 2


def test_only_what_is_given_is_changed_and_lists_and_limits_can_be_lifted(
    easel: CommandLine, fake: FakeAdmin
) -> None:
    easel("gateway", "create", "edge", "--port", "8443", "--deny", "10.0.0.0/8", "--keepalive", "10m")

    ran = easel("gateway", "set", "edge", "--body-limit", "none", "--deny", "none", "--no-redirect-https")

    assert ran.err == "edge is changed: body limit bytes, deny, redirect https\n"
    assert sorted(fake.traffic.gateway_updates[0].fields) == ["body_limit_bytes", "deny", "redirect_https"]
    made = fake.traffic.gateways["edge"]
    assert (made.port, list(made.deny), made.body_limit_bytes, made.keepalive_ms) == (8443, [], -1, 600_000)
    told = easel("gateway", "set", "edge", "--keepalive", "default", "--domain", "none", "-o", "json").value
    assert (told["keepalive"], told["domains"], told["host"]) == (0, [], "gateway")
    assert easel("gateway", "set", "edge").code == 2
    assert easel("gateway", "set", "none", "--workers", "1").code == 3


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--domain", "a.example=cert.pem"),
        ("--domain", "=secret:x"),
        ("--domain", "a.example=secret:"),
        ("--body-limit", "much"),
        ("--keepalive", "long"),
        ("--port", "0"),
    ],
)
def test_values_that_are_none_are_refused_in_one_sentence(
    easel: CommandLine, option: str, value: str
) -> None:
    ran = easel("gateway", "create", "edge", option, value)

    assert ran.code == 2 and len(ran.err.splitlines()) == 1 and value in ran.err


def test_gateways_are_listed_and_described_with_what_is_wrong(easel: CommandLine, fake: FakeAdmin) -> None:
    assert easel("gateway", "ls").err == "no gateway has connected yet\n"
    fake.traffic.gateways["gateway"] = pb.Gateway(
        name="gateway", shared=True, connected=True, envoys=2, port=8800
    )
    fake.traffic.gateways["n1"] = pb.Gateway(name="n1", node="n1")
    easel("gateway", "create", "edge", "--tls-port", "8444", "--domain", "a.example=secret:a-tls")
    fake.traffic.gateways["edge"].connected = False
    fake.traffic.gateways["edge"].certificates.append(
        common.CertificateStatus(domain="a.example", why="secret a-tls has no key named certificate")
    )

    rows = easel("gateway", "ls").out.splitlines()[1:]

    assert [row.split()[:4] for row in rows] == [
        ["gateway", "Ready", "2", "8800"],
        ["edge", "Away", "1", "8444"],
    ]
    assert len(easel("gateway", "ls", "--nodes", "-o", "json").value) == 3
    described = easel("gateway", "desc", "edge").out
    assert "a.example (TLS, secret a-tls)" in described
    assert "a.example: secret a-tls has no key named certificate" in described
    assert "in the process of gateway" in described
    assert "services that name no gateway are on it" in easel("gateway", "desc", "gateway").out
    assert "on node n1" in easel("gateway", "desc", "n1").out


def test_one_that_cannot_open_its_port_is_no_success(easel: CommandLine, fake: FakeAdmin) -> None:
    fake.traffic.gateway_why = "port 8443 of 127.0.0.1 is taken by another program"

    ran = easel("gateway", "create", "edge", "--port", "8443", "--wait", "0.5")

    assert ran.code == 1
    assert f"edge takes no requests yet: {fake.traffic.gateway_why}; `easel gateway desc edge`" in ran.err
    assert "services choose it" not in ran.err
    assert easel("gateway", "ls").out.splitlines()[1].split()[:3] == ["edge", "No", "Envoy"]
    assert easel("gateway", "create", "later", "--port", "8443", "--wait", "0").code == 0
    fake.traffic.gateways["edge"].envoys = 1
    ran = easel("gateway", "set", "edge", "--port", "8444", "--wait", "0.5")
    assert ran.code == 1 and "edge does not do all that is set: port 8443" in ran.err
    assert "Troubled" in easel("gateway", "desc", "edge").out


def test_what_is_set_is_waited_for(easel: CommandLine, fake: FakeAdmin) -> None:
    easel("gateway", "create", "edge", "--port", "8443")
    fake.traffic.gateways["edge"].connected = False

    ran = easel("gateway", "set", "edge", "--workers", "2", "--wait", "0.5", "-o", "json")

    assert (ran.code, ran.value["connected"]) == (1, False)


def test_a_port_for_tls_without_any_certificate_is_warned_of(easel: CommandLine, fake: FakeAdmin) -> None:
    ran = easel("gateway", "create", "edge", "--port", "8443", "--tls-port", "8444", "--domain", "a.example")

    assert ran.code == 0 and "warning: port 8444 opens once a domain has a certificate: " in ran.err
    assert "warning" not in easel("gateway", "set", "edge", "--domain", "a.example=secret:a-tls").err


def test_a_service_is_described_with_what_is_wrong_with_its_gateway(
    easel: CommandLine, fake: FakeAdmin
) -> None:
    fake.traffic.gateway_why = "port 8443 of 127.0.0.1 is taken by another program"
    easel("gateway", "create", "edge", "--port", "8443", "--wait", "0")
    fake.create('{"name": "echo"}', "")
    fake.services["echo"].gateway = "edge"

    assert f"edge (No Envoy: {fake.traffic.gateway_why})" in easel("desc", "echo").out


def test_a_gateway_that_is_in_use_is_not_deleted(easel: CommandLine, fake: FakeAdmin) -> None:
    easel("gateway", "create", "edge")
    fake.traffic.gateways["edge"].services = 2

    assert easel("gateway", "delete", "edge").code == 4
    fake.traffic.gateways["edge"].services = 0
    assert easel("gateway", "delete", "edge").err == "edge is deleted\n"
    assert easel("gateway", "delete", "edge").code == 3


def test_registries_are_made_known_listed_and_forgotten(easel: CommandLine, fake: FakeAdmin) -> None:
    assert "no registry yet" in easel("registry", "ls").err

    ran = easel("registry", "put", "lab", "http://n:8848", "--namespace", "prod", "--secret", "login")

    assert (ran.code, ran.err) == (0, "lab is http://n:8848 (nacos)\n")
    fake.traffic.registries["lab"].used_by.append("echo")
    (told,) = easel("registry", "ls", "-o", "json").value
    assert (told["namespace"], told["secret"], told["used_by"]) == ("prod", "login", ["echo"])
    assert "http://n:8848" in easel("registry", "ls").out
    assert easel("registry", "delete", "lab").err == "lab is forgotten\n"
    assert easel("registry", "delete", "lab").code == 3


def test_a_keepalive_is_a_length_of_time_in_the_library(easel: CommandLine, fake: FakeAdmin) -> None:
    from easel_sdk import Easel
    from tests.support.fake_admin import ADMIN_TOKEN

    with Easel(fake.address, ADMIN_TOKEN) as client:
        made = client.gateways.create("edge", keepalive=timedelta(minutes=10), allow=("10.0.0.0/8",))
        changed = client.gateways.update("edge", body_limit_bytes=-1)

    assert (made.keepalive, made.allow) == (timedelta(minutes=10), ("10.0.0.0/8",))
    assert (changed.keepalive, changed.body_limit_bytes) == (timedelta(minutes=10), -1)
