"""Errors of GPUs that are only noted: said once each, to whom it concerns."""

from libs.domain.gpu_troubles import TroubleKind
from libs.domain.records import Gpu
from services.scheduler.gpus.troubles import Trouble
from services.scheduler.gpus.watch import GpuWatch
from services.scheduler.world import World
from tests.support.builders import a_node, a_ready_instance, a_service, a_version, a_world, at


def a_world_with_users() -> World:
    gpus = (Gpu("GPU-0", 0, "H100", 81_920), Gpu("GPU-1", 1, "H100", 81_920))
    user = a_ready_instance("digits-a", gpu_uuids=("GPU-0",))
    return a_world(a_service(), a_version(), a_node(gpus=gpus), user)


def a_page_fault(count: int = 1, uuid: str = "GPU-0", seconds: float = 1) -> Trouble:
    return Trouble(uuid, TroubleKind.XID, 31, count, at(seconds))


def test_a_noted_error_is_an_event_on_the_instance_that_uses_the_gpu() -> None:
    (event,) = GpuWatch(at(0)).changes(a_world_with_users(), "n1", [a_page_fault()], at(2)).events

    assert (event.reason, event.subject_kind, event.subject, event.service) == (
        "GpuError",
        "instance",
        "digits-a",
        "digits",
    )
    assert event.why.startswith("GPU GPU-0 of node n1: XID 31: a program read or wrote GPU memory")
    assert event.why.endswith("; the GPU stays in use")


def test_an_error_of_a_gpu_that_nobody_uses_is_an_event_on_the_node() -> None:
    watch = GpuWatch(at(0))

    (event,) = watch.changes(a_world_with_users(), "n1", [a_page_fault(uuid="GPU-1")], at(2)).events

    assert (event.subject_kind, event.subject) == ("node", "n1")


def test_what_was_stored_is_not_said_again_until_it_happens_again() -> None:
    watch, world = GpuWatch(at(0)), a_world_with_users()
    watch.stored("n1", [a_page_fault(1)], at(2))

    assert not watch.changes(world, "n1", [a_page_fault(1)], at(400))
    assert watch.changes(world, "n1", [a_page_fault(2, seconds=399)], at(400)).events


def test_a_program_that_fails_all_the_time_is_told_of_now_and_then() -> None:
    watch, world, said = GpuWatch(at(0)), a_world_with_users(), []
    for seconds in range(2, 200, 2):
        troubles = [a_page_fault(seconds, seconds=seconds)]
        said += [seconds] * len(watch.changes(world, "n1", troubles, at(seconds)).events)
        watch.stored("n1", troubles, at(seconds))

    assert said == [2, 62, 122, 182]


def test_what_could_not_be_stored_is_said_the_next_time() -> None:
    watch, world = GpuWatch(at(0)), a_world_with_users()
    watch.changes(world, "n1", [a_page_fault(1)], at(2))

    assert watch.changes(world, "n1", [a_page_fault(1)], at(4)).events


def test_what_an_earlier_scheduler_heard_of_is_not_said_again() -> None:
    watch, old = GpuWatch(since=at(100)), [a_page_fault(1, seconds=5)]

    assert not watch.changes(a_world_with_users(), "n1", old, at(101))
