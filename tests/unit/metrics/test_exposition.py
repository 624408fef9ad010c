"""The text for Prometheus: what a strict reader takes, under the names of the catalogue."""

import re
from pathlib import Path

import numpy as np
import pytest

from easel.common.v1 import common_pb2
from easel.facts.v1 import facts_pb2 as pb
from services.metrics.catalogue import CATALOGUE
from services.metrics.components import Sample
from services.metrics.durations import Durations
from services.metrics.envoy_stream import EnvoyStreams
from services.metrics.exposed_nodes import nodes
from services.metrics.exposed_parts import parts
from services.metrics.exposed_services import durations, services
from services.metrics.exposition import exposition
from services.metrics.gpus import GpuState
from services.metrics.keeping import kept
from services.metrics.latency import BUCKETS
from services.metrics.store import Store
from services.metrics.totals import WIDTH, Key
from tests.support.metrics_harness import families

METRICS_MD = Path(__file__).parents[3] / "docs" / "METRICS.md"
AWKWARD = 'quo"ted\\ and\nbroken'


async def told(store: Store) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Every sample that a reader finds in the text."""
    envoys = EnvoyStreams(store)
    given = {**parts(store), **services(store, envoys), **nodes(store)}
    text = (await exposition(given, durations(store.published))).decode()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families(text)
        for sample in family.samples
    }


def a_store() -> Store:
    store = Store(lambda: 1_000.0)
    instance = pb.InstanceFacts(
        id="echo-1",
        node="n1",
        ready=True,
        pool="spot",
        phases=[common_pb2.StartPhase(name="image", seconds=2.5)],
    )
    resources = common_pb2.Resources(cpu_milli=1_500, memory_mib=64)
    echo = pb.ServiceFacts(
        name="echo", version=2, gateway="gateway", group=AWKWARD, resources=resources, instances=[instance]
    )
    node = pb.NodeFacts(name="n1", state=common_pb2.NODE_STATE_READY, schedulable=True, spot=True)
    gateway = pb.GatewayFacts(name="gateway", connected=True, envoys=1)
    store.facts.take(pb.WatchResponse(full=True, services=[echo], nodes=[node], gateways=[gateway]))
    return store


async def test_the_names_of_every_sample_are_in_the_catalogue() -> None:
    store = a_store()
    for table, key in ((store.instances, "echo-1"), (store.nodes, "n1"), (store.gpus, "GPU-1")):
        table.take(table.rows([key]), np.ones((len(table.columns), 1)), 999.0)
    store.gpu_states["GPU-1"] = GpuState(
        *("GPU-1", "n1", 0, "H200"), throttle_reasons=("power",), ecc_corrected=1, xids={79: 1}
    )
    store.custom.take("echo", "echo-1", "tokens", {"model": "a"}, 3.0, 999.0)
    store.durations.add(["echo"], np.ones((1, BUCKETS + 1)))
    refused = store.totals.place(Key("gateway", "refused", "echo", "waiting.status.503"))
    store.totals.add(np.array([refused]), np.ones((1, WIDTH)))
    store.published = kept(store.totals, store.durations, [])

    samples = await told(store)

    suffix = re.compile("_(total|info|bucket|count|sum)$")
    known = {metric.name for metric in CATALOGUE}
    assert {suffix.sub("", name) for name, _ in samples} <= known
    gpu = labels(gpu="GPU-1", index="0", model="H200", node="n1", reason="power")
    assert samples["easel_gpu_throttled", gpu] == 1
    assert (
        samples[
            "easel_custom",
            labels(instance="echo-1", service="echo", node="n1", name="tokens", tags="model=a"),
        ]
        == 3
    )


async def test_a_service_has_its_counters_before_the_first_request() -> None:
    samples = await told(a_store())

    where = {"service": "echo", "version": "2", "gateway": "gateway"}
    assert samples["easel_service_requests_total", labels(**where, code_class="5xx")] == 0


async def test_a_service_that_speaks_grpc_has_calls_before_the_first_one_and_no_other_has() -> None:
    store = a_store()
    speaking = pb.ServiceFacts(name="chat", version=1, gateway="gateway", grpc=True)
    store.facts.take(pb.WatchResponse(services=[speaking]))

    found = {
        key: value for key, value in (await told(store)).items() if key[0] == "easel_service_grpc_calls_total"
    }

    assert {dict(labels)["service"] for _, labels in found} == {"chat"}
    assert sorted(dict(labels)["outcome"] for _, labels in found) == ["failed", "ok"]
    assert set(found.values()) == {0}


async def test_what_a_version_was_asked_for_is_told_by_class() -> None:
    store = a_store()
    store.totals.add(np.array([store.totals.place(Key("gateway", "cluster", "echo/1"))]), np.ones((1, WIDTH)))
    store.published = kept(store.totals, Durations(), [])

    samples = await told(store)

    where = {"service": "echo", "version": "1", "gateway": "gateway"}
    assert samples["easel_service_requests_total", labels(**where, code_class="2xx")] == 1
    assert samples["easel_service_request_bytes_total", labels(**where)] == 1
    assert (
        samples[
            "easel_service_requests_refused_total",
            labels(service="echo", gateway="gateway", reason="timeout"),
        ]
        == 1
    )


async def test_labels_may_hold_any_text() -> None:
    samples = await told(a_store())

    found = [dict(words)["group"] for name, words in samples if name == "easel_service_info"]
    assert found == [AWKWARD]


async def test_tags_that_would_read_alike_are_told_apart() -> None:
    store = a_store()
    post = store.custom.take
    post("echo", "echo-1", "tokens", {"model": "a,size=1"}, 3.0, 999.0)
    post("echo", "echo-1", "tokens", {"model": "a", "size": "1"}, 4.0, 999.0)

    found = await told(store)

    tags = {dict(labels)["tags"]: value for (name, labels), value in found.items() if name == "easel_custom"}
    assert tags == {"model=a\\,size=1": 3.0, "model=a,size=1": 4.0}


async def test_what_a_service_asks_for_is_told_of_each_instance() -> None:
    samples = await told(a_store())

    where = labels(instance="echo-1", service="echo", node="n1")
    assert samples["easel_instance_cpu_limit_cores", where] == 1.5
    assert samples["easel_instance_memory_limit_bytes", where] == 64 * 1024 * 1024


async def test_a_stale_number_is_missing() -> None:
    store = a_store()
    rows = store.nodes.rows(["n1"])
    store.nodes.take(rows, np.ones((len(store.nodes.columns), 1)), 980.0)

    samples = await told(store)

    assert ("easel_node_cpu_cores", labels(node="n1")) not in samples
    assert samples["easel_node_ready", labels(node="n1")] == 1


async def test_a_card_of_which_nobody_tells_any_more_is_missing_and_not_healthy() -> None:
    store = a_store()
    for uuid, at in (("gpu-old", 980.0), ("gpu-new", 999.0)):
        store.gpu_states[uuid] = GpuState(uuid=uuid, node="n1", index=0, model="H200")
        store.gpus.take(store.gpus.rows([uuid]), np.ones((len(store.gpus.columns), 1)), at)

    samples = await told(store)

    cards = {dict(each)["gpu"] for name, each in samples if name == "easel_gpu_healthy"}
    assert cards == {"gpu-new"}


async def test_a_part_that_is_silent_is_down_and_its_numbers_are_gone() -> None:
    store = a_store()
    for component, at in (("scheduler", 980.0), ("autoscaler", 999.0)):
        look = Sample("easel_autoscaler_look_seconds", {}, 0.1)
        commits = Sample("easel_scheduler_commits", {}, 5.0)
        unknown = Sample("easel_secret", {}, 1.0)
        said = (commits, unknown) if component == "scheduler" else (look,)
        store.components.take(component, component, "life", said, at)

    samples = await told(store)

    assert samples["easel_component_up", labels(component="scheduler", name="scheduler")] == 0
    assert samples["easel_component_up", labels(component="autoscaler", name="autoscaler")] == 1
    assert ("easel_scheduler_commits_total", ()) not in samples
    assert samples["easel_autoscaler_look_seconds", ()] == pytest.approx(0.1)


def test_the_document_has_the_table_of_the_catalogue() -> None:
    row = re.compile(r"^\| `(easel_\w+)` \| (\w+) \| ([^|]*) \| (.*) \|$", re.MULTILINE)
    rows = row.findall(METRICS_MD.read_text(encoding="utf-8"))

    expected = [
        (m.name, str(m.type), ", ".join(f"`{label}`" for label in m.labels), m.help) for m in CATALOGUE
    ]
    assert [(name, kind, words.strip(), text) for name, kind, words, text in rows] == expected


def labels(**given: str) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(given.items()))
