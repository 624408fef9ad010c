"""What cards tell for metrics, through the real binding and a driver library compiled here."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.nvml_stub import build_stub, run_beside_driver

READ = """
import dataclasses, json
from services.agent.gpu import Nvml
nvml = Nvml()
nvml.inventory()
nvml.troubles.heard_xid("GPU-0", 79)
nvml.troubles.heard_xid("GPU-0", 79)
print(json.dumps([dataclasses.asdict(reading) for reading in nvml.readings()]))
"""

LOSE = """
import json, os, pathlib
from services.agent.gpu import Nvml
nvml = Nvml()
nvml.inventory()
pathlib.Path(os.environ["NVML_STUB_LOST"]).touch()
print(json.dumps([(each.uuid, each.healthy, each.power_watts) for each in nvml.readings()]))
"""

Program = Callable[..., Any]


@pytest.fixture(scope="module")
def beside_driver(tmp_path_factory: pytest.TempPathFactory) -> Program:
    libraries = build_stub(tmp_path_factory.mktemp("nvml"))
    return lambda program, **stub: run_beside_driver(libraries, program, **stub)


@pytest.mark.compiler
def test_a_card_tells_what_it_does(beside_driver: Program) -> None:
    [seen] = beside_driver(READ, NVML_STUB_CARDS="whole")

    assert seen == {
        "uuid": "GPU-0",
        "index": 0,
        "model": "NVIDIA H100 80GB HBM3",
        "healthy": True,
        "utilization_percent": 42,
        "memory_used_bytes": 5 << 30,
        "memory_total_bytes": 80 << 30,
        "power_watts": 350.4,
        "temperature_celsius": 61,
        "sm_clock_hertz": 1_980_000_000,
        "memory_clock_hertz": 2_619_000_000,
        "ecc_corrected": 3,
        "ecc_uncorrected": 0,
        "throttle_reasons": ["sw_power_cap", "hw_thermal_slowdown"],
        "xids": {"79": 2},
    }


@pytest.mark.compiler
def test_an_older_driver_tells_reasons_by_their_older_name(beside_driver: Program) -> None:
    [seen] = beside_driver(READ, NVML_STUB_CARDS="whole", NVML_STUB_OLD="1")

    assert seen["throttle_reasons"] == ["sw_power_cap", "hw_thermal_slowdown"]


@pytest.mark.compiler
def test_what_a_card_does_not_tell_is_left_out(beside_driver: Program) -> None:
    [seen] = beside_driver(READ, NVML_STUB_CARDS="bare")

    assert seen["healthy"]
    assert seen["memory_used_bytes"] == 5 << 30
    missing = ("utilization_percent", "power_watts", "temperature_celsius", "sm_clock_hertz", "ecc_corrected")
    assert [seen[name] for name in missing] == [None] * 5


@pytest.mark.compiler
def test_each_part_of_a_split_card_is_told_with_what_its_card_tells(beside_driver: Program) -> None:
    seen = beside_driver(READ, NVML_STUB_CARDS="mig")

    assert [(each["uuid"], each["memory_total_bytes"] >> 30) for each in seen] == [
        ("MIG-0-0", 40),
        ("MIG-0-1", 40),
    ]
    assert [each["utilization_percent"] for each in seen] == [None, None]
    assert [each["power_watts"] for each in seen] == [350.4, 350.4]


@pytest.mark.compiler
def test_a_card_that_stops_answering_is_not_healthy_and_tells_nothing(
    beside_driver: Program, tmp_path: Any
) -> None:
    lost = str(tmp_path / "lost")

    seen = beside_driver(LOSE, NVML_STUB_CARDS="whole,whole", NVML_STUB_LOST=lost)

    assert seen == [["GPU-0", False, None], ["GPU-1", True, 350.4]]
