"""The reference of service.json says what the code does."""

import re
from pathlib import Path

from libs.spec.gaps import GAPS
from libs.spec.shape import Kind, paths, root

REFERENCE = Path(__file__).parents[3] / "docs" / "SERVICE_JSON.md"
ROW = re.compile(r"^\| `([^`]+)` \|.*\| (\w+) \|$", re.MULTILINE)
PROBE = re.compile(r"containers\[\]\.(startup|liveness|readiness|health)_check\.")
STATES = dict(ROW.findall(REFERENCE.read_text()))


def known_keys() -> set[str]:
    """Every key that holds a value, with the four probes written as one."""
    return {
        PROBE.sub("probe.", path) for path, node in paths(root()) if node.kind in (Kind.SCALAR, Kind.FREE)
    }


def waits(key: str) -> bool:
    """Whether a key lies at or below a feature that is not carried out yet."""
    written = key.replace("probe.", "containers[].startup_check.")
    return any(written == gap.path or written.startswith((f"{gap.path}.", f"{gap.path}[")) for gap in GAPS)


def test_every_key_is_in_the_reference() -> None:
    assert known_keys() - STATES.keys() == set()


def test_the_reference_names_no_key_that_does_not_exist() -> None:
    assert {key for key in STATES if not key.startswith("features[")} - known_keys() == set()


def test_the_reference_says_later_exactly_for_what_is_not_carried_out_yet() -> None:
    assert {key for key, state in STATES.items() if state == "later"} == set(filter(waits, STATES))
    assert set(STATES.values()) == {"now", "later", "info"}


def test_every_gap_is_in_the_reference() -> None:
    documented = [key.replace("probe.", "containers[].startup_check.") for key in STATES]
    probes = ("liveness_check", "readiness_check", "health_check")

    for gap in GAPS:
        assert gap.path.endswith(probes) or any(key.startswith(gap.path) for key in documented), gap.path
