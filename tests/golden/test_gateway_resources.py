"""What Envoy is sent, one file a feature. `pytest tests/golden --rewrite-golden` writes them anew."""

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.config.route.v3.scoped_route_pb2 import ScopedRouteConfiguration
from envoy.extensions.transport_sockets.tls.v3.secret_pb2 import Secret
from google.protobuf.json_format import MessageToJson

from services.gateway.routes import Backend, Endpoint, Hold, Limits, Mirror, Service, Token
from services.gateway.xds.bootstrap import Dial, bootstrap
from services.gateway.xds.build import service_resources
from services.gateway.xds.edge import Edge
from services.gateway.xds.listener import listener
from services.gateway.xds.resource import CLUSTER, ENDPOINTS, LISTENER, SCOPE, SECRET, Resource

HERE = Path(__file__).parent / "gateway"
MESSAGES = {
    CLUSTER: Cluster,
    ENDPOINTS: ClusterLoadAssignment,
    LISTENER: Listener,
    SCOPE: ScopedRouteConfiguration,
    SECRET: Secret,
}
ONE = Backend(1, (Endpoint("i-1", "10.0.0.1", 9000),))
TWO = Backend(2, (Endpoint("i-2", "10.0.0.2", 9000), Endpoint("i-3", "10.0.0.3", 9000)))
PLAIN = Service("svc", (Token("token-a"),), timedelta(seconds=5), backends=(ONE,))
SHADOW = Mirror("shadow", 5, TWO.endpoints)
FEATURES = {
    "plain": PLAIN,
    "several_tokens": replace(PLAIN, tokens=(Token("token-a"), Token("token-b"))),
    "no_token": replace(PLAIN, tokens=()),
    "no_keepalive": replace(PLAIN, keepalive=timedelta(0)),
    "keep_path": replace(PLAIN, keep_path=True),
    "grpc": replace(PLAIN, grpc=True),
    "several_versions": replace(PLAIN, backends=(ONE, TWO)),
    "one_version_ready": replace(PLAIN, backends=(Backend(1), TWO)),
    "no_instance": replace(PLAIN, backends=(Backend(1),)),
    "no_version": replace(PLAIN, backends=()),
    "hold": replace(PLAIN, backends=(Backend(1),), hold=Hold()),
    "rate_limit": replace(PLAIN, backends=(TWO,), limits=Limits(rate_per_instance=5)),
    "concurrency": replace(PLAIN, backends=(ONE, TWO), limits=Limits(concurrency=9)),
    "mirror": replace(PLAIN, mirrors=(SHADOW, replace(SHADOW, service="other", ratio=100))),
    "mirror_with_other_path": replace(PLAIN, mirrors=(replace(SHADOW, keep_path=True),)),
    "mirror_with_comparison": replace(PLAIN, mirrors=(replace(SHADOW, compare_ppm=10_000),)),
    "mirror_without_target": replace(PLAIN, mirrors=(replace(SHADOW, endpoints=(), compare_ppm=10_000),)),
    "queue": replace(PLAIN, backends=(TWO,), limits=Limits(in_flight_per_instance=69)),
}


def readable(resources: list[Resource]) -> str:
    """The resources as YAML, in a stable order."""
    shown: list[dict[str, Any]] = []
    for each in resources:
        message = MESSAGES[each.key.type_url].FromString(each.body)
        shown.append(
            {
                "type": each.key.type_url.rpartition(".")[2],
                "name": each.key.name,
                "resource": json.loads(MessageToJson(message, preserving_proto_field_name=True)),
            }
        )
    return yaml.safe_dump_all(shown, sort_keys=True)


def check(name: str, text: str, rewrite: bool, directory: Path = HERE) -> None:
    """Compares with the file of that name, or writes it."""
    file = directory / f"{name}.yaml"
    if rewrite:
        file.write_text(text)
    assert file.read_text() == text, f"{file} differs; if that is meant, run pytest with --rewrite-golden"


@pytest.mark.parametrize("feature", FEATURES)
def test_a_service_becomes_these_resources(feature: str, rewrite_golden: bool) -> None:
    check(feature, readable(service_resources(FEATURES[feature], ("easel.local",))), rewrite_golden)


@pytest.mark.parametrize(
    ("name", "edge"),
    [
        ("listener", Edge("127.0.0.1", 8800, "easel.local")),
        ("listener_with_traces_and_log", Edge("0.0.0.0", 80, "easel.local", True, "/logs/access.json")),
    ],
)
def test_the_edge_becomes_this_listener(name: str, edge: Edge, rewrite_golden: bool) -> None:
    check(name, readable([listener(edge)]), rewrite_golden)


@pytest.mark.parametrize(
    ("name", "dial"),
    [
        ("bootstrap", Dial("gateway-envoy", "unix:/data/xds.sock", "unix:/data/admin.sock")),
        (
            "bootstrap_over_tcp_with_traces",
            Dial("gateway-envoy", "gateway:18000", "127.0.0.1:9901", "join-token", "http://collector:4317"),
        ),
        (
            "bootstrap_with_metrics",
            Dial(
                "gateway-envoy",
                "unix:/data/xds.sock",
                "unix:/data/admin.sock",
                metrics="metrics:8803",
                metrics_token="join-token",
            ),
        ),
    ],
)
def test_an_envoy_is_started_with_this(name: str, dial: Dial, rewrite_golden: bool) -> None:
    check(name, yaml.safe_dump(yaml.safe_load(bootstrap(dial))), rewrite_golden)


def test_every_golden_file_belongs_to_a_feature() -> None:
    others = {"listener", "listener_with_traces_and_log"}
    others |= {"bootstrap", "bootstrap_over_tcp_with_traces", "bootstrap_with_metrics"}

    assert {file.stem for file in HERE.glob("*.yaml")} == FEATURES.keys() | others


def test_a_change_of_one_service_changes_only_what_it_touches() -> None:
    moved = replace(PLAIN, backends=(Backend(1, (Endpoint("i-9", "10.0.0.9", 9000),)),))
    before = {each.key: each.version for each in service_resources(PLAIN, ("easel.local",))}

    after = {each.key: each.version for each in service_resources(moved, ("easel.local",))}

    assert [key.type_url for key in before if before[key] != after[key]] == [ENDPOINTS]


def test_a_service_that_is_awake_has_nothing_of_holding() -> None:
    holding = replace(PLAIN, hold=Hold())

    assert service_resources(holding, ("easel.local",)) == service_resources(PLAIN, ("easel.local",))
