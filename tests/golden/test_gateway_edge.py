"""What the settings of a gateway come to in Envoy, one file a setting."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from services.gateway.routes import DirectEndpoint, Domain, EdgeSettings, TcpListener
from services.gateway.xds.bootstrap import Dial, bootstrap
from services.gateway.xds.build import service_resources
from services.gateway.xds.edge import Edge, KeyPair
from services.gateway.xds.listener import edge_resources
from services.gateway.xds.resource import ENDPOINTS, Resource
from services.gateway.xds.tcp import tcp_resources
from tests.golden.test_gateway_resources import PLAIN, check, readable

HERE = Path(__file__).parent / "gateway_edge"
PEM = KeyPair("-- a certificate --", "-- a key --")
PLAINLY = Edge("0.0.0.0", 80, "easel.local")
WITH_TLS = EdgeSettings(tls_port=443, domains=(Domain("example.org", "…", "…"),))
EDGES = {
    "lists": replace(PLAINLY, settings=EdgeSettings(allow=("10.0.0.0/8", "fd00::/8"), deny=("10.9.0.1",))),
    "body_limit": replace(PLAINLY, body_limit=1_048_576),
    "connections": replace(PLAINLY, settings=EdgeSettings(max_connections=500)),
    "tls": replace(PLAINLY, settings=WITH_TLS, key_pairs={"example.org": PEM}),
    "redirect": replace(
        PLAINLY, settings=replace(WITH_TLS, redirect_https=True), key_pairs={"example.org": PEM}
    ),
    "upstream_tls": replace(
        PLAINLY, settings=EdgeSettings(upstream_ca="-- ca --", upstream_certificate="-- own --")
    ),
}
PLACES = (DirectEndpoint("10.0.0.1", 8800, 3), DirectEndpoint("10.0.0.2", 8800, 1))
WITH_PORTS = replace(PLAIN, direct=PLACES, tcp_listeners=(TcpListener("default", 9000),))
TCP = {
    "tcp": (WITH_PORTS, PLAINLY),
    "tcp_by_name": (replace(WITH_PORTS, direct=(DirectEndpoint("gateway", 8800, 1),)), PLAINLY),
    "tcp_lists": (
        WITH_PORTS,
        replace(PLAINLY, settings=EdgeSettings(allow=("10.0.0.0/8",), deny=("10.128.0.0/9",))),
    ),
}
BASE = edge_resources(PLAINLY)
# Parts that are the same whatever is set; the golden file "listener" shows them.
ALIKE = ("local_reply_config", "access_log", "early_header_mutation_extensions")


def without_what_is_alike(resources: list[Resource]) -> str:
    def pruned(part: Any) -> Any:
        if isinstance(part, dict):
            return {name: pruned(each) for name, each in part.items() if name not in ALIKE}
        return [pruned(each) for each in part] if isinstance(part, list) else part

    return yaml.safe_dump_all([pruned(each) for each in yaml.safe_load_all(readable(resources))])


@pytest.mark.parametrize("name", EDGES)
def test_settings_become_these_resources(name: str, rewrite_golden: bool) -> None:
    plain = {each.version for each in BASE}
    differing = [each for each in edge_resources(EDGES[name]) if each.version not in plain]

    check(name, without_what_is_alike(differing), rewrite_golden, HERE)


@pytest.mark.parametrize("name", TCP)
def test_ports_of_a_service_become_these_resources(name: str, rewrite_golden: bool) -> None:
    service, edge = TCP[name]

    check(name, readable(tcp_resources(service, edge.reach)), rewrite_golden, HERE)


def test_an_envoy_with_bounds_is_started_with_this(rewrite_golden: bool) -> None:
    dial = Dial(
        "gateway-envoy", "unix:/xds.sock", "unix:/admin.sock", max_heap_mib=4096, max_connections=10_000
    )

    check("bounds", yaml.safe_dump(yaml.safe_load(bootstrap(dial))), rewrite_golden, HERE)


def test_a_setting_that_is_not_used_leaves_nothing_behind() -> None:
    listed = {each.stem for each in HERE.glob("*.yaml")}

    assert listed == EDGES.keys() | TCP.keys() | {"bounds"}
    assert [each.key.name for each in BASE] == ["easel"]
    assert tcp_resources(PLAIN, PLAINLY.reach) == []


def test_a_new_certificate_changes_the_secret_alone() -> None:
    renewed = replace(EDGES["tls"], key_pairs={"example.org": replace(PEM, certificate="-- newer --")})

    before = {each.key: each.version for each in edge_resources(EDGES["tls"])}
    after = {each.key: each.version for each in edge_resources(renewed)}

    assert [key.name for key in before if before[key] != after[key]] == ["domain/example.org"]


def test_a_new_place_changes_the_endpoints_of_a_port_alone() -> None:
    moved = replace(WITH_PORTS, direct=PLACES[:1])

    before = {each.key: each.version for each in service_resources(WITH_PORTS, ())}
    after = {each.key: each.version for each in service_resources(moved, ())}

    assert [key.type_url for key in before if before[key] != after[key]] == [ENDPOINTS]
