"""What gateways are told of mirrors, and what their owner is."""

from dataclasses import replace

from easel.common.v1 import common_pb2
from libs.domain.traffic import Mirror
from services.scheduler.mirrors.comparisons import Comparisons
from services.scheduler.mirrors.notes import notes_of
from services.scheduler.routes.mirror_routes import mirrors_of
from tests.support.builders import NOON, a_ready_instance, a_service, a_spec, a_version, a_world, at

MIRROR = Mirror("main", ("shadow",), 10, NOON, NOON, 500)


def test_a_target_is_told_with_the_ready_instances_of_its_newest_version() -> None:
    world = a_world(
        a_service("main"),
        a_version("main"),
        a_service("shadow", version=2),
        a_version("shadow", 2, spec=a_spec("shadow", rpc={"keepalive": 700, "proxy_path": "/"})),
        a_ready_instance("shadow-old", service="shadow", version=1),
        a_ready_instance("shadow-new", service="shadow", version=2),
        replace(MIRROR, ratio=25),
    )

    [told] = mirrors_of(world, world.services["main"])

    assert [each.instance for each in told.endpoints] == ["shadow-new"]
    assert (told.service, told.ratio, told.compare_ppm) == ("shadow", 25, 500)
    assert (told.keepalive_ms, told.keep_path, told.grpc) == (700, True, False)


def test_a_target_without_a_ready_instance_is_told_without_one() -> None:
    world = a_world(a_service("main"), a_service("shadow"), a_version("shadow"), MIRROR)

    [told] = mirrors_of(world, world.services["main"])

    assert not told.endpoints


def test_a_service_without_a_mirror_has_none_in_its_routes() -> None:
    world = a_world(a_service("main"), a_service("shadow"), MIRROR)

    assert not mirrors_of(world, world.services["shadow"])


def test_what_keeps_a_target_from_getting_copies_is_said() -> None:
    world = a_world(
        a_service("main"),
        a_version("main"),
        a_ready_instance("main-a", service="main"),
        a_service("shadow", stopped=True),
        a_version("shadow"),
        MIRROR,
    )

    assert list(notes_of(world, MIRROR)) == ["'shadow' gets no copies: it is stopped"]
    assert list(notes_of(world, replace(MIRROR, ratio=0))) == ["the mirror is paused: its ratio is 0"]


def test_a_target_of_another_protocol_is_said() -> None:
    world = a_world(
        a_service("main"),
        a_version("main"),
        a_ready_instance("main-a", service="main"),
        a_service("shadow"),
        a_version("shadow", spec=a_spec("shadow", enable_grpc=True)),
        a_ready_instance("shadow-a", service="shadow"),
        MIRROR,
    )

    [note] = notes_of(world, MIRROR)

    assert note == "'shadow' will not understand the copies: it speaks gRPC and the copies do not"


def a_comparison(pairs: int, p99: float, since: float) -> common_pb2.Comparison:
    comparison = common_pb2.Comparison(
        service="main", target="shadow", pairs=pairs, same_status=pairs, latency_difference_p99_ms=p99
    )
    comparison.since.FromDatetime(at(since))
    return comparison


def test_what_several_gateways_found_is_summed_and_what_one_found_ends_with_it() -> None:
    comparisons = Comparisons()
    comparisons.report("one", [a_comparison(3, 5.0, 10)])
    comparisons.report("two", [a_comparison(4, 2.0, 5)])

    [both] = comparisons.of("main", ["shadow", "other"])
    comparisons.report("one", [])
    [left] = comparisons.of("main", ["shadow", "other"])

    assert (both.pairs, both.latency_difference_p99_ms) == (7, 5.0)
    assert both.since.ToDatetime().second == 5
    assert left.pairs == 4
