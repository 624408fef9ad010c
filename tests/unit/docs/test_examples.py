"""The examples are good service.json files, and ask for what the demo is locked to."""

import re
from pathlib import Path

import pytest

from libs.spec import not_carried_out, parse_service
from tests.support.documents import ROOT

EXAMPLES = sorted((ROOT / "examples").glob("*/service.json"))
LOCK = ROOT / "requirements" / "demo.lock"


def directory(path: Path) -> str:
    return path.parent.name


@pytest.mark.parametrize("example", EXAMPLES, ids=directory)
def test_an_example_is_accepted_without_a_warning(example: Path) -> None:
    parsed = parse_service(example.read_text())

    assert [*parsed.warnings, *not_carried_out(parsed.spec)] == []


@pytest.mark.parametrize("example", EXAMPLES, ids=directory)
def test_what_an_example_mounts_is_in_the_examples(example: Path) -> None:
    for mount in parse_service(example.read_text()).spec.storage:
        assert mount.oss is not None
        assert mount.oss.bucket == "easel-examples"
        inside = mount.oss.prefix.strip("/")
        assert (ROOT / "examples" / inside.removesuffix("/model")).is_dir()


@pytest.mark.parametrize("example", EXAMPLES, ids=directory)
def test_an_example_asks_for_the_versions_that_the_demo_is_locked_to(example: Path) -> None:
    locked = set(re.findall(r"^([a-z0-9-]+)==(\S+)", LOCK.read_text(), re.MULTILINE))
    names = {name for name, _ in locked}
    asked = parse_service(example.read_text()).spec.containers[0].prepare.python_requirements

    pins = {tuple(requirement.split("==")) for requirement in asked}

    assert {pin for pin in pins if pin[0] in names} - locked == set()


def test_all_examples_fit_a_laptop_with_two_cores_at_once() -> None:
    specs = [parse_service(example.read_text()).spec.metadata for example in EXAMPLES]

    assert sum((spec.cpu or 0) * (spec.instance or 1) for spec in specs) <= 2
