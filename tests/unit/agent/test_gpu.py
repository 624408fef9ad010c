"""The GPUs of a node, through the real binding and a driver library compiled here."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

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
nvml.troubles.heard_xid("GPU-0", 48)
pynvml.nvmlLib = None
pynvml._nvmlGetFunctionPointer_cache.clear()
inventory = dataclasses.asdict(nvml.inventory())
print(json.dumps(inventory | {"told": [(each.uuid, each.kind, each.xid) for each in nvml.told()]}))
"""

HEAR = """
import json, os, pathlib, queue
from services.agent.gpu import GpuWatch, Nvml
nvml, heard, events = Nvml(), queue.Queue(), []
nvml.inventory()
watch = GpuWatch(nvml, lambda uuid, xid: heard.put((uuid, xid)))
watch.start()
assert watch.registered.wait(20)
for event in os.environ["XIDS"].split(","):
    if "NVML_STUB_LOST" in os.environ:
        pathlib.Path(os.environ["NVML_STUB_LOST"]).touch()
    draft = pathlib.Path(os.environ["NVML_STUB_XID"] + ".draft")
    draft.write_text(event)
    draft.replace(os.environ["NVML_STUB_XID"])
    events.append(heard.get(timeout=20))
watch.close()
inventory = nvml.inventory()
print(json.dumps({"events": events, "healthy": [gpu.healthy for gpu in inventory.gpus],
                  "xids": [reading.xids for reading in nvml.telemetry()],
                  "told": [(each.uuid, each.kind, each.xid, each.count) for each in nvml.told()]}))
"""

TROUBLE = """
import json, os, pathlib
from services.agent.gpu import Nvml
nvml, said = Nvml(), []
def look():
    gpus = nvml.inventory().gpus
    said.append({"gpus": [(gpu.uuid, gpu.healthy, gpu.why) for gpu in gpus],
                 "told": [(each.uuid, each.kind, each.count) for each in nvml.told()]})
look()
for step in os.environ["STEPS"].split(";"):
    name, _, text = step.partition("=")
    path = pathlib.Path(os.environ["NVML_STUB_" + name])
    path.unlink() if text == "no" else path.write_text(text)
    look()
print(json.dumps(said))
"""

BEAT = """
import asyncio, json, os, pathlib
from google.protobuf.json_format import MessageToDict
from services.agent.agent import View, Voice
from services.agent.board import Board
from services.agent.gpu import Nvml
from services.agent.memory import Memory
from services.agent.runtime.process_runtime import ProcessRuntime, ProcessSettings
from services.agent.runtime.venvs import Venvs
from services.agent.settings import Settings
here = pathlib.Path(os.environ["HERE"])
(here / "cuda-12.4").mkdir()
runtime = ProcessRuntime(ProcessSettings(here, "", range(0)), Venvs(here, "", {}))
nvml = Nvml()
nvml.inventory()
nvml.troubles.heard_xid("GPU-1", 79)
view = View(Settings(data_dir=here, cuda_root=here), runtime, nvml, Board())
beat = asyncio.run(Voice(view, Memory(here)).heartbeat())
print(json.dumps(MessageToDict(beat, preserving_proto_field_name=True)))
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
def test_telemetry_has_every_reading_of_a_card(beside_driver: Program, tmp_path: Path) -> None:
    (tmp_path / "ecc").write_text("0 3")

    seen = beside_driver(LOOK, NVML_STUB_CARDS="whole", NVML_STUB_ECC=str(tmp_path / "ecc"))

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
def test_a_driver_that_is_taken_away_leaves_its_cards_unhealthy_and_calls_none_lost(
    beside_driver: Program,
) -> None:
    seen = beside_driver(GONE, NVML_STUB_CARDS="whole,whole")

    assert [(gpu["uuid"], gpu["healthy"]) for gpu in seen["gpus"]] == [("GPU-0", False), ("GPU-1", False)]
    assert seen["told"] == [["GPU-0", "Xid", 48]]


@pytest.mark.compiler
def test_errors_are_counted_by_card_and_code_since_the_agent_started(
    beside_driver: Program, tmp_path: Path
) -> None:
    stub = {"NVML_STUB_CARDS": "whole,whole", "NVML_STUB_XID": str(tmp_path / "xid")}

    seen = beside_driver(HEAR, **stub, XIDS="1 31,1 79,1 31,0 13")

    assert seen["events"] == [["GPU-1", 31], ["GPU-1", 79], ["GPU-1", 31], ["GPU-0", 13]]
    assert seen["told"] == [["GPU-1", "Xid", 31, 2], ["GPU-1", "Xid", 79, 1], ["GPU-0", "Xid", 13, 1]]
    assert seen["xids"] == [[13], [31, 79]]


@pytest.mark.compiler
def test_what_an_error_means_is_not_the_agents_to_say(beside_driver: Program, tmp_path: Path) -> None:
    stub = {"NVML_STUB_CARDS": "whole", "NVML_STUB_XID": str(tmp_path / "xid")}

    assert beside_driver(HEAR, **stub, XIDS="0 79")["healthy"] == [True]


@pytest.mark.compiler
def test_an_error_of_a_split_card_is_one_of_each_of_its_parts(beside_driver: Program, tmp_path: Path) -> None:
    stub = {"NVML_STUB_CARDS": "whole,mig", "NVML_STUB_XID": str(tmp_path / "xid")}

    seen = beside_driver(HEAR, **stub, XIDS="1 48")

    assert seen["told"] == [["MIG-1-0", "Xid", 48, 1], ["MIG-1-1", "Xid", 48, 1]]


@pytest.mark.compiler
def test_the_error_of_a_card_that_does_not_even_tell_its_name_any_more_is_its_own(
    beside_driver: Program, tmp_path: Path
) -> None:
    stub = {"NVML_STUB_CARDS": "whole", "NVML_STUB_XID": str(tmp_path / "xid")}

    seen = beside_driver(HEAR, **stub, NVML_STUB_LOST=str(tmp_path / "lost"), XIDS="0 79")

    assert seen["told"] == [["GPU-0", "Xid", 79, 1], ["GPU-0", "GpuLost", 0, 1]]


@pytest.mark.compiler
def test_memory_errors_are_told_as_the_driver_counts_them(beside_driver: Program, tmp_path: Path) -> None:
    stub = {"NVML_STUB_CARDS": "whole,whole", "NVML_STUB_ECC": str(tmp_path / "ecc")}

    seen = beside_driver(TROUBLE, **stub, STEPS="ECC=1 2;ECC=1 5;ECC=1 0")

    assert [look["told"] for look in seen] == [
        [],
        [["GPU-1", "UncorrectableEcc", 2]],
        [["GPU-1", "UncorrectableEcc", 5]],
        [],
    ]


@pytest.mark.compiler
def test_a_card_that_is_not_listed_any_more_is_lost_and_the_others_keep_their_names(
    beside_driver: Program, tmp_path: Path
) -> None:
    stub = {"NVML_STUB_CARDS": "whole,whole", "NVML_STUB_GONE": str(tmp_path / "gone")}

    before, gone, back = beside_driver(TROUBLE, **stub, STEPS="GONE=yes;GONE=no")

    assert gone["told"] == [["GPU-0", "GpuLost", 1]]
    assert sorted(gone["gpus"]) == [
        ["GPU-0", False, "GPU 0 is not listed by the driver any more"],
        ["GPU-1", True, ""],
    ]
    assert back == before


@pytest.mark.compiler
def test_a_card_that_the_driver_calls_lost_is_told_so_until_it_is_back(
    beside_driver: Program, tmp_path: Path
) -> None:
    stub = {"NVML_STUB_CARDS": "whole,whole", "NVML_STUB_LOST": str(tmp_path / "lost")}

    seen = beside_driver(TROUBLE, **stub, STEPS="LOST=yes;LOST=no")

    assert [look["told"] for look in seen] == [[], [["GPU-0", "GpuLost", 1]], []]


@pytest.mark.compiler
def test_a_driver_that_is_not_loaded_is_said(beside_driver: Program) -> None:
    seen = beside_driver(LOOK)

    assert seen["gpus"] == []
    assert seen["note"] == "no NVIDIA driver answers on this node (Driver Not Loaded); it takes CPU work only"


@pytest.mark.compiler
def test_a_heartbeat_carries_the_troubles_and_what_placement_asks_of_the_driver(
    beside_driver: Program, tmp_path: Path
) -> None:
    ecc = tmp_path / "ecc"
    ecc.write_text("0 3")

    beat = beside_driver(BEAT, NVML_STUB_CARDS="whole,whole", NVML_STUB_ECC=str(ecc), HERE=str(tmp_path))

    told = [{key: each[key] for key in each if key != "at"} for each in beat["gpu_troubles"]]
    assert told == [
        {"uuid": "GPU-0", "kind": "KIND_UNCORRECTABLE_ECC", "count": "3"},
        {"uuid": "GPU-1", "kind": "KIND_XID", "xid": 79, "count": "1"},
    ]
    assert beat["inventory"]["gpu_driver_version"] == "570.86.10"
    assert beat["inventory"]["cuda_versions"] == ["12.4"]
