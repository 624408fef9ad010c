"""Which GPUs are fenced, and what lifting a fence means."""

from typing import Any

import pytest

from libs.db.changes import Changes
from libs.domain.errors import FailedPrecondition, NotFound
from libs.domain.gpu_troubles import TroubleKind
from libs.domain.records import Gpu, GpuFence
from libs.domain.states import EventKind
from services.scheduler.admin.nodes import deleted
from services.scheduler.gpus.fences import active_fence, fenced_by_hand, judged, lifted
from services.scheduler.gpus.troubles import Trouble
from services.scheduler.world import World
from tests.support.builders import a_node, a_world, at

UUID = "GPU-0"


def an_xid(code: int = 79, count: int = 1, seconds: float = 0) -> Trouble:
    return Trouble(UUID, TroubleKind.XID, code, count, at(seconds))


def some_ecc(count: int, seconds: float = 0) -> Trouble:
    return Trouble(UUID, TroubleKind.UNCORRECTABLE_ECC, 0, count, at(seconds))


LOST = Trouble(UUID, TroubleKind.LOST, at=at(0))


def a_world_with_a_gpu() -> World:
    return a_world(a_node(gpus=(Gpu(UUID, 0, "H100", 81_920),)))


def told(world: World, *troubles: Trouble, seconds: float = 0) -> Changes:
    """What the agent's level changes, carried over into the world."""
    changes = judged(world.gpu_fences, "n1", troubles, at(seconds))
    world.apply(changes)
    return changes


def lift(world: World, seconds: float = 0) -> None:
    world.apply(lifted(world, "n1", UUID, at(seconds)))


def fence(world: World) -> GpuFence | None:
    return active_fence(world.gpu_fences, "n1", UUID)


def test_an_error_of_the_card_fences_it_and_the_event_says_what_it_means_and_what_is_done() -> None:
    changes = told(a_world_with_a_gpu(), an_xid(79))

    (event,) = changes.events
    assert (event.reason, event.kind, event.subject) == ("GpuFenced", EventKind.WARNING, "n1")
    assert event.why == (
        "GPU GPU-0: XID 79: the GPU has fallen off the bus; "
        "nothing is placed on it any more and what is on it is replaced"
    )


def test_a_fence_names_its_cause() -> None:
    world = a_world_with_a_gpu()

    told(world, an_xid(79))

    assert (fence(world) or pytest.fail("none")).cause == "Xid79"


def test_memory_errors_that_cannot_be_corrected_fence_the_gpu() -> None:
    world = a_world_with_a_gpu()

    told(world, some_ecc(3))

    assert (fence(world) or pytest.fail("none")).cause == "UncorrectableEcc"


def test_an_error_code_names_the_fence_before_anything_that_follows_from_it() -> None:
    world = a_world_with_a_gpu()

    told(world, LOST, some_ecc(1, seconds=9), an_xid(48, seconds=5))

    assert (fence(world) or pytest.fail("none")).cause == "Xid48"


@pytest.mark.parametrize("code", [13, 31, 43, 45, 63, 94, 9999])
def test_an_error_that_a_program_can_cause_or_that_is_mended_fences_nothing(code: int) -> None:
    assert not told(a_world_with_a_gpu(), an_xid(code, count=50))


def test_what_is_told_again_changes_nothing() -> None:
    world = a_world_with_a_gpu()
    told(world, an_xid(), some_ecc(2))

    assert not told(world, an_xid(), some_ecc(2), seconds=2)


def test_a_lifted_fence_stays_lifted_while_nothing_new_happens() -> None:
    world = a_world_with_a_gpu()
    told(world, an_xid())
    lift(world)

    assert not told(world, an_xid())
    assert fence(world) is None


def test_what_happened_while_the_fence_stood_does_not_fence_again_after_it_was_lifted() -> None:
    world = a_world_with_a_gpu()
    told(world, an_xid(count=1))
    assert not told(world, an_xid(count=4)).events
    lift(world)

    told(world, an_xid(count=4))

    assert fence(world) is None


def test_a_new_error_after_the_lift_fences_again_and_names_the_new_one() -> None:
    world = a_world_with_a_gpu()
    told(world, an_xid(79))
    lift(world, seconds=10)

    changes = told(world, an_xid(79), an_xid(119, seconds=20), seconds=21)

    assert [event.reason for event in changes.events] == ["GpuFenced"]
    assert (fence(world) or pytest.fail("none")).cause == "Xid119"


def test_an_agent_that_counts_from_nought_again_hides_no_new_error() -> None:
    world = a_world_with_a_gpu()
    told(world, an_xid(count=3))
    lift(world)

    told(world)
    told(world, an_xid(count=1, seconds=50), seconds=51)

    assert fence(world) is not None


def test_a_gpu_that_is_still_lost_is_fenced_again() -> None:
    world = a_world_with_a_gpu()
    told(world, LOST)
    lift(world)

    told(world, LOST)

    assert (fence(world) or pytest.fail("none")).cause == "GpuLost"


def test_a_lost_gpu_that_came_back_stays_fenced_until_it_is_lifted() -> None:
    world = a_world_with_a_gpu()
    told(world, LOST)

    told(world)

    assert fence(world) is not None


def test_a_gpu_is_fenced_by_hand_and_its_earlier_errors_do_not_fence_it_after_the_lift() -> None:
    world = a_world_with_a_gpu()
    world.apply(fenced_by_hand(world, "n1", UUID, "", at(0)))
    told(world, an_xid())
    lift(world)

    told(world, an_xid())

    assert fence(world) is None


def test_fencing_by_hand_again_keeps_the_record_that_is_there() -> None:
    world = a_world_with_a_gpu()
    world.apply(fenced_by_hand(world, "n1", UUID, "noisy", at(0)))
    lift(world)

    (record,) = fenced_by_hand(world, "n1", UUID, "noisy", at(5)).put

    assert isinstance(record, GpuFence)
    assert (record.lifted_at, record.why) == (None, "noisy")


@pytest.mark.parametrize(
    "call", [lambda w: fenced_by_hand(w, "n1", "GPU-9", "", at(0)), lambda w: lifted(w, "n1", "GPU-9", at(0))]
)
def test_a_gpu_that_the_node_does_not_have_is_not_found(call: Any) -> None:
    with pytest.raises(NotFound, match="node 'n1' has no GPU 'GPU-9'"):
        call(a_world_with_a_gpu())


def test_a_fence_is_neither_doubled_nor_lifted_where_there_is_none() -> None:
    world = a_world_with_a_gpu()
    with pytest.raises(FailedPrecondition, match="is not fenced"):
        lifted(world, "n1", UUID, at(0))
    world.apply(fenced_by_hand(world, "n1", UUID, "noisy", at(0)))

    with pytest.raises(FailedPrecondition, match="fenced already: noisy"):
        fenced_by_hand(world, "n1", UUID, "", at(1))


def test_the_fences_of_a_node_are_forgotten_with_it() -> None:
    world = a_world_with_a_gpu()
    told(world, an_xid())

    changes = deleted(world, "n1", linked=(), now=at(1))

    assert [type(record).__name__ for record in changes.delete] == ["Node", "GpuFence"]
