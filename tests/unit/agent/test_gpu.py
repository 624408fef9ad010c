"""The GPUs of a node, through the real binding and a driver library compiled here."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from libs.domain.records import Gpu
from services.agent.gpu import judged
from tests.support.nvml_stub import build_stub, run_beside_driver

LOOK = """
import dataclasses, json
from services.agent.gpu import Nvml
nvml = Nvml()
inventory = dataclasses.asdict(nvml.inventory())
print(json.dumps(inventory | {"telemetry": [dataclasses.asdict(reading) for reading in nvml.telemetry()]}))
nvml.close()
"""

LOSE = """
import dataclasses, json, os, pathlib
from services.agent.gpu import Nvml
nvml = Nvml()
nvml.inventory()
pathlib.Path(os.environ["NVML_STUB_LOST"]).touch()
inventory = dataclasses.asdict(nvml.inventory())
print(json.dumps(inventory | {"readings": len(nvml.telemetry())}))
"""

GONE = """
import dataclasses, json, pynvml
from services.agent.gpu import Nvml
nvml = Nvml()
nvml.inventory()
pynvml.nvmlLib = None
pynvml._nvmlGetFunctionPointer_cache.clear()
print(json.dumps(dataclasses.asdict(nvml.inventory())))
"""

HEAR = """
import dataclasses, json, os, pathlib, queue
from services.agent.gpu import GpuWatch, Nvml
nvml, heard = Nvml(), queue.Queue()
watch = GpuWatch(nvml, lambda uuid, xid: heard.put((uuid, xid)))
watch.start()
pathlib.Path(os.environ["NVML_STUB_XID"]).write_text(os.environ["XID"])
event = heard.get(timeout=20)
watch.close()
inventory = nvml.inventory()
print(json.dumps({"event": event, "gpus": [dataclasses.asdict(gpu) for gpu in inventory.gpus],
                  "xids": [reading.xids for reading in nvml.telemetry()]}))
"""

Program = Callable[..., Any]


@pytest.fixture(scope="module")
def beside_driver(tmp_path_factory: pytest.TempPathFactory) -> Program:
    libraries = build_stub(tmp_path_factory.mktemp("nvml"))
    return lambda program, **stub: run_beside_driver(libraries, program, **stub)


@pytest.mark.compiler
def test_every_gpu_is_found_with_its_model_and_memory(beside_driver: Program) -> None:
    seen = beside_driver(LOOK, NVML_STUB_CARDS="whole,whole")

    assert [gpu["uuid"] for gpu in seen["gpus"]] == ["GPU-0", "GPU-1"]
    assert seen["gpus"][1] == {
        "uuid": "GPU-1",
        "index": 1,
        "model": "NVIDIA H100 80GB HBM3",
        "memory_mib": 81920,
        "healthy": True,
        "why": "",
    }
    assert (seen["driver_version"], seen["note"]) == ("570.86.10", "")


@pytest.mark.compiler
def test_a_split_gpu_is_offered_as_its_parts(beside_driver: Program) -> None:
    seen = beside_driver(LOOK, NVML_STUB_CARDS="whole,mig")

    assert [gpu["uuid"] for gpu in seen["gpus"]] == ["GPU-0", "MIG-1-0", "MIG-1-1"]
    assert seen["gpus"][2]["memory_mib"] == 40960
    assert seen["gpus"][2]["model"] == "NVIDIA H100 80GB HBM3 MIG 3g.40gb"
    assert [reading["uuid"] for reading in seen["telemetry"]] == ["GPU-0", "MIG-1-0", "MIG-1-1"]


@pytest.mark.compiler
def test_telemetry_has_every_reading_of_a_card(beside_driver: Program) -> None:
    seen = beside_driver(LOOK, NVML_STUB_CARDS="whole")

    assert seen["telemetry"] == [
        {
            "uuid": "GPU-0",
            "utilisation_percent": 42,
            "memory_used_mib": 5120,
            "power_watts": 350,
            "temperature_celsius": 61,
            "ecc_uncorrected": 3,
            "xids": [],
        }
    ]


@pytest.mark.compiler
def test_what_a_card_cannot_tell_is_zero(beside_driver: Program) -> None:
    seen = beside_driver(LOOK, NVML_STUB_CARDS="bare")

    reading = seen["telemetry"][0]
    assert (reading["utilisation_percent"], reading["power_watts"], reading["ecc_uncorrected"]) == (0, 0, 0)
    assert reading["memory_used_mib"] == 5120


@pytest.mark.compiler
def test_a_card_that_never_answered_is_named_and_the_others_serve(beside_driver: Program) -> None:
    seen = beside_driver(LOOK, NVML_STUB_CARDS="lost,whole")

    assert [gpu["uuid"] for gpu in seen["gpus"]] == ["GPU-1"]
    assert seen["note"] == "GPU 0 does not answer: GPU is lost"


@pytest.mark.compiler
def test_a_card_that_is_lost_while_it_serves_becomes_unhealthy(
    beside_driver: Program, tmp_path: Path
) -> None:
    seen = beside_driver(LOSE, NVML_STUB_CARDS="whole,whole", NVML_STUB_LOST=str(tmp_path / "lost"))

    assert [(gpu["uuid"], gpu["healthy"]) for gpu in seen["gpus"]] == [("GPU-0", False), ("GPU-1", True)]
    assert seen["gpus"][0]["why"] == "GPU 0 does not answer: GPU is lost"
    assert seen["readings"] == 1


@pytest.mark.compiler
def test_a_driver_that_is_taken_away_leaves_its_cards_unhealthy(beside_driver: Program) -> None:
    seen = beside_driver(GONE, NVML_STUB_CARDS="whole,whole")

    assert [(gpu["uuid"], gpu["healthy"]) for gpu in seen["gpus"]] == [("GPU-0", False), ("GPU-1", False)]


@pytest.mark.compiler
@pytest.mark.parametrize(("xid", "healthy"), [(79, False), (31, True)])
def test_an_xid_of_the_card_takes_it_out_and_one_of_a_program_does_not(
    beside_driver: Program, tmp_path: Path, xid: int, healthy: bool
) -> None:
    seen = beside_driver(
        HEAR, NVML_STUB_CARDS="whole,whole", NVML_STUB_XID=str(tmp_path / "xid"), XID=f"1 {xid}"
    )

    assert seen["event"] == ["GPU-1", xid]
    assert [gpu["healthy"] for gpu in seen["gpus"]] == [True, healthy]
    assert seen["xids"] == [[], [xid]]


@pytest.mark.compiler
def test_a_driver_that_is_not_loaded_is_said(beside_driver: Program) -> None:
    seen = beside_driver(LOOK)

    assert seen["gpus"] == []
    assert seen["note"] == "no NVIDIA driver answers on this node (Driver Not Loaded); it takes CPU work only"


def test_a_broken_card_keeps_its_first_reason() -> None:
    gpu = Gpu("GPU-0", 0, "H100", 81920, healthy=False, why="GPU 0 does not answer: GPU is lost")

    assert judged((gpu,), {"GPU-0": (79,)}) == (gpu,)
