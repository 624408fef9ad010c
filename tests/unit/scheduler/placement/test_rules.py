"""What each placement rule promises, told one case at a time."""

from dataclasses import replace

import pytest

from libs.domain.records import Gpu, GpuFence, Resources
from libs.domain.states import InstanceState, NodeState, Runtime
from services.scheduler.placement import Ask, Placement, Snapshot, Unplaced, place, place_all, verdicts
from services.scheduler.placement.names import version_matches
from services.scheduler.placement.rules import SCORES
from tests.unit.scheduler.placement.builders import EPOCH, a_gpu, a_node, an_ask, an_instance


def placed(ask: Ask, *nodes: object, instances: tuple[object, ...] = ()) -> Placement:
    answer = place(ask, Snapshot.of(nodes, instances))  # type: ignore[arg-type]
    assert isinstance(answer, Placement), answer
    return answer


def refused(ask: Ask, *nodes: object, instances: tuple[object, ...] = ()) -> Unplaced:
    answer = place(ask, Snapshot.of(nodes, instances))  # type: ignore[arg-type]
    assert isinstance(answer, Unplaced), answer
    return answer


def test_a_refusal_counts_the_nodes_of_a_group_by_what_they_lack() -> None:
    nodes = [
        a_node("n1", capacity=Resources(cpu_milli=1_000)),
        a_node("n2", capacity=Resources(cpu_milli=1_500)),
        a_node("n3", schedulable=False),
    ]

    answer = refused(an_ask(cpu_milli=4_000), *nodes)

    assert answer.reasons == ("public: 3 nodes: 1 is cordoned, 2 lack 4 CPUs (most free 1.5)",)
    assert answer.why == "no node fits: public: 3 nodes: 1 is cordoned, 2 lack 4 CPUs (most free 1.5)"


def test_with_no_nodes_at_all_the_refusal_says_so() -> None:
    assert refused(an_ask()).reasons == ("public: no nodes",)


def test_nodes_of_other_resource_groups_are_named_in_a_sentence_of_their_own() -> None:
    nodes = [a_node(f"n-{group}", resource_group=group) for group in ("a", "b", "c", "d")]

    answer = refused(an_ask(resource_group="mine"), *nodes)

    assert answer.reasons == ("mine: no nodes", "a, b, c and 1 more: 4 nodes: not in resource group mine")


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"state": NodeState.LOST}, "is lost"),
        ({"state": NodeState.SUSPECT}, "is suspect"),
        ({"draining": True}, "is draining"),
        ({"schedulable": False}, "is cordoned"),
        ({"resource_group": "other"}, "is in resource group other, not public"),
        ({"capacity": Resources(500, 999_999, 999_999)}, "lacks 2 CPUs (0.5 free)"),
        ({"capacity": Resources(9_000, 512, 999_999)}, "lacks 1.5 GiB of memory (512 MiB free)"),
        ({"capacity": Resources(9_000, 9_999, 1_024)}, "lacks 10 GiB of disk (1 GiB free)"),
        ({"gpus": ()}, "lacks 1 A100 GPU (0 free)"),
        ({"gpus": (a_gpu("g", model="NVIDIA A10"),)}, "lacks 1 A100 GPU (0 free)"),
        ({"gpus": (a_gpu("g", healthy=False),)}, "lacks 1 A100 GPU (0 free; 1 GPU unhealthy or fenced)"),
        ({"gpu_driver_version": ""}, "has no GPU driver, not GPU driver 550"),
        ({"gpu_driver_version": "535.1"}, "has 535.1, not GPU driver 550"),
        ({"cuda_versions": ("11.2", "12.1")}, "has no CUDA 12.4 to mount (has 11.2, 12.1)"),
        ({"cuda_versions": ()}, "has no CUDA 12.4 to mount (has none)"),
        ({"first_port": 0, "last_port": 0}, "has no free host port (range 0-0)"),
    ],
)
def test_each_filter_refuses_with_a_sentence(changes: dict[str, object], why: str) -> None:
    usual = {"gpus": (a_gpu("g"),), "gpu_driver_version": "550.54.15", "cuda_versions": ("12.4",)}
    node = a_node("n1", **{**usual, **changes})
    wanted = {"cpu_milli": 2_000, "memory_mib": 1_536, "disk_mib": 10_240, "gpus": 1, "gpu_model": "A100"}
    ask = an_ask(**wanted, gpu_driver="550", cuda="12.4")

    said = verdicts(ask, Snapshot.of([node]), "n1")

    assert [verdict.why for verdict in said.values() if not verdict.fits] == [why]
    assert isinstance(place(ask, Snapshot.of([node])), Unplaced)


def test_an_instance_that_asks_nothing_fits_a_node_that_shrank_under_its_instances() -> None:
    node = a_node("n1", capacity=Resources(cpu_milli=1_000))
    running = an_instance("old", node="n1", resources=Resources(cpu_milli=4_000))

    assert placed(an_ask(), node, instances=(running,)).node == "n1"


def test_an_unhealthy_gpu_is_never_handed_out() -> None:
    node = a_node("n1", gpus=(a_gpu("bad", 0, healthy=False), a_gpu("good", 1)))

    assert placed(an_ask(gpus=1), node).gpu_uuids == ("good",)


def test_a_fenced_gpu_is_never_handed_out_until_its_fence_is_lifted() -> None:
    node, fence = a_node("n1", gpus=1), GpuFence("n1", "n1-gpu-0", "Xid79", "it failed", EPOCH)
    snapshot = Snapshot.of([node], fences=[fence])

    answer = place(an_ask(gpus=1), snapshot)
    snapshot.upsert_fence(replace(fence, lifted_at=EPOCH))

    assert isinstance(answer, Unplaced)
    assert answer.reasons == ("public: 1 node: 1 lacks 1 GPU (most free 0; 1 GPU unhealthy or fenced)",)
    assert isinstance(place(an_ask(gpus=1), snapshot), Placement)


def test_a_fence_outlasts_what_its_node_says_and_is_forgotten_with_its_record() -> None:
    node, fence = a_node("n1", gpus=1), GpuFence("n1", "n1-gpu-0", "Xid79", "it failed", EPOCH)
    snapshot = Snapshot.of([node], fences=[fence])

    snapshot.upsert_node(replace(node, zone="b"))
    assert isinstance(place(an_ask(gpus=1), snapshot), Unplaced)
    snapshot.remove_fence(fence)

    assert isinstance(place(an_ask(gpus=1), snapshot), Placement)


@pytest.mark.parametrize(
    ("asked", "installed", "same"),
    [
        ("550.127.08", "550.127.08", True),
        ("550.127.8", "550.127.08", True),
        ("550.127", "550.127.08", True),
        ("550", "550.127.08", True),
        ("55", "550.127.08", False),
        ("550.12", "550.127.08", False),
        ("550.127.08.1", "550.127.08", False),
        ("550", "", False),
    ],
)
def test_a_shorter_version_is_every_version_that_begins_with_its_parts(
    asked: str, installed: str, same: bool
) -> None:
    assert version_matches(asked, installed) is same


def test_a_model_is_asked_for_by_words_of_its_name() -> None:
    a10, a100 = a_node("a10", gpus=1, gpu_model="NVIDIA A10"), a_node("a100", gpus=1)

    assert placed(an_ask(gpus=1, gpu_model="A10"), a10, a100).node == "a10"
    assert placed(an_ask(gpus=1, gpu_model="a100 80gb"), a10, a100).node == "a100"


def test_gpus_of_one_instance_are_of_one_model_where_a_node_has_enough_of_one() -> None:
    mixed = (a_gpu("a", 0, "NVIDIA L4"), a_gpu("b", 1, "NVIDIA T4"), a_gpu("c", 2, "NVIDIA T4"))

    assert placed(an_ask(gpus=2), a_node("n1", gpus=mixed)).gpu_uuids == ("b", "c")


def test_a_gpu_that_moved_to_another_node_stays_with_the_instance_that_holds_it() -> None:
    moved: tuple[Gpu, ...] = (a_gpu("moved"),)
    holder = an_instance("old", node="n1", gpu_uuids=("moved",), resources=Resources(gpus=1))

    answer = refused(an_ask(gpus=1), a_node("n2", gpus=moved), instances=(holder,))

    assert answer.reasons == ("public: 1 node: 1 lacks 1 GPU (most free 0)",)


@pytest.mark.parametrize(
    ("declared", "busy", "given"),
    [
        (20_007, (), 20_007),
        (8_000, (), 8_000),
        (8_000, (8_000,), 20_000),
        (80, (), 20_000),
        (0, (20_000, 20_001), 20_002),
    ],
)
def test_the_declared_port_is_given_when_allowed_and_free_else_the_lowest_of_the_range(
    declared: int, busy: tuple[int, ...], given: int
) -> None:
    assert placed(an_ask(port=declared), a_node("n1", busy_ports=busy)).host_port == given


def test_two_instances_on_a_node_get_different_ports() -> None:
    snapshot = Snapshot.of([a_node("n1")])

    answers = place_all([an_ask("a", port=8_000), an_ask("b", port=8_000)], snapshot)

    assert [answer.host_port for answer in answers if isinstance(answer, Placement)] == [8_000, 20_000]


@pytest.mark.parametrize(("runtime", "given"), [(Runtime.PROCESS, 20_001), (Runtime.DOCKER, 0)])
def test_a_port_that_an_instance_listens_on_unasked_is_taken(runtime: Runtime, given: int) -> None:
    snapshot = Snapshot.of([a_node("n1", runtime=runtime)], [an_instance("a", node="n1")])
    snapshot.upsert_instance(an_instance("a", node="n1", port=20_000))

    answer = place(an_ask("b"), snapshot)

    assert isinstance(answer, Placement)
    assert answer.host_port == given


def test_a_declared_port_can_be_had_where_the_range_is_used_up() -> None:
    full = a_node("n1", first_port=20_000, last_port=20_000, busy_ports=(20_000,))

    assert placed(an_ask(port=8_000), full).host_port == 8_000
    assert refused(an_ask(), full).reasons == ("public: 1 node: 1 has no free host port",)


def test_a_docker_node_needs_no_host_port() -> None:
    node = a_node("n1", runtime=Runtime.DOCKER, first_port=0, last_port=0)

    assert placed(an_ask(port=8_000), node).host_port == 0


def test_by_default_a_service_is_spread_over_nodes() -> None:
    snapshot = Snapshot.of([a_node("n1"), a_node("n2"), a_node("n3")])

    answers = place_all([an_ask(f"web-{i}") for i in range(6)], snapshot)

    assert sorted(a.node for a in answers if isinstance(a, Placement)) == ["n1", "n1", "n2", "n2", "n3", "n3"]


def test_work_without_gpus_stays_off_gpu_nodes_even_when_that_packs_a_service() -> None:
    snapshot = Snapshot.of([a_node("cpu"), a_node("gpu", gpus=8)])

    answers = place_all([an_ask(f"web-{i}") for i in range(3)], snapshot)

    assert {a.node for a in answers if isinstance(a, Placement)} == {"cpu"}


def test_policy_host_spreads_even_onto_gpu_nodes() -> None:
    snapshot = Snapshot.of([a_node("cpu"), a_node("gpu", gpus=8)])

    answers = place_all([an_ask(f"web-{i}", spread="host") for i in range(2)], snapshot)

    assert {a.node for a in answers if isinstance(a, Placement)} == {"cpu", "gpu"}


def test_policy_zone_spreads_over_zones_before_nodes() -> None:
    nodes = [a_node("a1", zone="a"), a_node("a2", zone="a"), a_node("a3", zone="a"), a_node("b1", zone="b")]

    answers = place_all([an_ask(f"web-{i}", spread="zone") for i in range(4)], Snapshot.of(nodes))

    assert [a.node for a in answers if isinstance(a, Placement)] == ["a1", "b1", "a2", "b1"]


def test_gpu_work_of_different_services_fills_a_node_that_is_in_use() -> None:
    nodes = [a_node("n1", gpus=8), a_node("n2", gpus=8)]
    running = an_instance("old", node="n2", gpu_uuids=("n2-gpu-0",), resources=Resources(gpus=1))

    assert placed(an_ask(service="other", gpus=1), *nodes, instances=(running,)).node == "n2"


def test_a_node_that_has_the_image_is_preferred() -> None:
    nodes = [a_node("n1"), a_node("n2", images=("repo/app:latest",))]

    assert placed(an_ask(image="repo/app"), *nodes).node == "n2"


def test_work_without_gpus_goes_where_most_is_free() -> None:
    running = an_instance("old", service="other", node="n1", resources=Resources(cpu_milli=32_000))

    assert placed(an_ask(), a_node("n1"), a_node("n2"), instances=(running,)).node == "n2"


def test_equal_nodes_are_told_apart_by_name() -> None:
    assert placed(an_ask(), a_node("n2"), a_node("n1"), a_node("n3")).node == "n1"


@pytest.mark.parametrize(
    ("state", "holds"),
    [
        (InstanceState.RUNNING, True),
        (InstanceState.CRASH_LOOP_BACK_OFF, True),
        (InstanceState.TERMINATING, True),
        (InstanceState.LOST, False),
    ],
)
def test_an_instance_holds_its_share_until_it_is_gone_or_lost(state: InstanceState, holds: bool) -> None:
    whole = Resources(cpu_milli=1_000)
    instance = an_instance("old", node="n1", state=state, resources=whole)

    answer = place(an_ask(cpu_milli=1), Snapshot.of([a_node("n1", capacity=whole)], [instance]))

    assert isinstance(answer, Unplaced) is holds


def test_a_stronger_score_outweighs_all_weaker_ones_together() -> None:
    ask = {"spread": "host"}
    weights = {rule.name: rule.weight(an_ask(**ask)) for rule in SCORES}
    default = {rule.name: rule.weight(an_ask(gpus=1, image="x")) for rule in SCORES}

    assert weights["spread-nodes"] > 100 * (weights["keep-gpus"] + 10 + 3 + 1)
    assert weights["keep-gpus"] * 100 > 100 * default["spread-nodes"] + 1_400
    assert default["spread-nodes"] > 100 * (default["pack-gpus"] + default["image"])
