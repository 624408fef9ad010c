"""What Envoy is sent for what the gateway process answers itself, and for the gateway of a node; a file each.

`pytest tests/golden --rewrite-golden` writes them anew.
"""

from dataclasses import replace
from pathlib import Path

import pytest

from services.gateway.routes import Backend, Endpoint
from services.gateway.xds.clusters import endpoints
from services.gateway.xds.front import front_resources
from services.gateway.xds.resource import Resource
from tests.golden.test_gateway_resources import PLAIN, readable

HERE = Path(__file__).parent / "direct"
AWAY = Endpoint("i-2", "10.0.0.2", 9000, "n2")
NEAR = Endpoint("i-1", "10.0.0.1", 9000, "n1")


def on_node(*places: Endpoint) -> list[Resource]:
    backend = Backend(1, places)
    return [endpoints(replace(PLAIN, backends=(backend,)), backend, "n1")]


CASES = {
    "front": list(front_resources("unix:/data/front.sock")),
    "front_over_tcp": list(front_resources("gateway:18001")),
    "node_first": on_node(AWAY, NEAR),
    "nobody_on_the_node": on_node(AWAY),
    "nobody_at_all": on_node(),
}


@pytest.mark.parametrize("case", CASES)
def test_this_becomes_these_resources(case: str, rewrite_golden: bool) -> None:
    file, text = HERE / f"{case}.yaml", readable(CASES[case])
    if rewrite_golden:
        HERE.mkdir(exist_ok=True)
        file.write_text(text)

    assert file.read_text() == text, f"{file} differs; if that is meant, run pytest with --rewrite-golden"


def test_every_golden_file_belongs_to_a_case() -> None:
    assert {file.stem for file in HERE.glob("*.yaml")} == CASES.keys()
