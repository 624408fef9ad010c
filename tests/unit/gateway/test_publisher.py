"""From an update to resources and acknowledgements, without an Envoy."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment

from easel.gateway.v1 import gateway_pb2 as pb
from libs.domain.errors import FailedPrecondition, InvalidRequest
from services.gateway.ads.messages import Request
from services.gateway.ads.store import ResourceStore
from services.gateway.publisher import Publisher, unchanging
from services.gateway.routes import Backend, EdgeSettings, Endpoint, Service, Token, Update
from services.gateway.routing.doors import doors
from services.gateway.settings import Settings
from services.gateway.snapshot import Snapshots, load, save
from services.gateway.sockets import socket_address
from services.gateway.translate import service_from_proto, service_to_proto
from services.gateway.xds.edge import Edge
from services.gateway.xds.listener import listener
from services.gateway.xds.resource import CLUSTER, ENDPOINTS, LISTENER, SCOPE, Key
from tests.support.waiting import until


def a_publisher() -> Publisher:
    edge = Edge("127.0.0.1", 1, "easel.local")
    return Publisher(ResourceStore(), unchanging([listener(edge)], ("easel.local",)))


def a_service(name: str, *ports: int) -> Service:
    endpoints = tuple(Endpoint(f"i-{port}", "127.0.0.1", port) for port in ports)
    return Service(name, (Token("token"),), backends=(Backend(1, endpoints),) if ports else ())


@contextlib.asynccontextmanager
async def an_envoy(publisher: Publisher) -> AsyncIterator[None]:
    """Connects an Envoy that acknowledges everything but endpoints, which it refuses."""
    said: asyncio.Queue[Request] = asyncio.Queue()
    for type_url in (CLUSTER, LISTENER, SCOPE):
        said.put_nowait(Request(type_url))

    async def requests() -> AsyncIterator[Request]:
        while True:
            yield await said.get()

    async def acknowledge() -> None:
        async for response in publisher.envoys.stream(requests()):
            error = "bad endpoints" if response.type_url == ENDPOINTS else ""
            said.put_nowait(Request(response.type_url, nonce=response.nonce, error=error))
            if response.type_url == CLUSTER and response.resources:
                names = tuple(each.key.name for each in response.resources)
                said.put_nowait(Request(ENDPOINTS, subscribe=names))

    speaking = asyncio.create_task(acknowledge())
    await until(lambda: len(publisher.envoys) == 1, "the Envoy to connect")
    yield
    speaking.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await speaking


async def test_a_full_update_takes_away_what_it_does_not_name() -> None:
    publisher = a_publisher()
    await publisher.publish(Update(1, True, (a_service("a"), a_service("b"))))

    await publisher.publish(Update(2, True, (a_service("b"),)))

    assert publisher.services.keys() == {"b"}


async def test_a_service_that_rests_keeps_its_cluster_until_another_version_serves() -> None:
    store, served = ResourceStore(), a_service("a", 1, 2)
    publisher = Publisher(store, unchanging([], ("easel.local",)))
    await publisher.publish(Update(1, True, (served, a_service("never"))))
    before = store.get(Key(CLUSTER, "a/1"))

    await publisher.publish(Update(2, False, (a_service("a"),)))
    resting = ClusterLoadAssignment.FromString(store.of(ENDPOINTS)["a/1"].resource.body)
    routes = [each.resource for each in store.of(SCOPE).values()]
    await publisher.publish(Update(3, False, (served,)))

    assert store.get(Key(CLUSTER, "a/1")) == before
    assert set(store.of(CLUSTER)) == {"a/1"}
    assert not resting.endpoints
    assert not any(each.needs for each in routes)
    newer = replace(served, backends=(Backend(2, served.backends[0].endpoints),))
    await publisher.publish(Update(4, False, (newer,)))
    assert set(store.of(CLUSTER)) == {"a/2"}
    await publisher.publish(Update(5, False, (a_service("a"),)))
    await publisher.publish(Update(6, False, (), ("a",)))
    assert not store.of(CLUSTER)


async def test_an_update_counts_as_saved_only_when_all_of_it_was_there_to_be_saved() -> None:
    publisher = a_publisher()
    await publisher.publish(Update(1, True, ()))
    before = publisher.sequence

    publishing = asyncio.create_task(
        publisher.publish(Update(2, True, tuple(a_service(f"s{n}") for n in range(500))))
    )
    while not publisher.services:  # noqa: ASYNC110
        await asyncio.sleep(0)
    assert not publishing.done()
    assert publisher.sequence == before
    await publishing

    assert publisher.sequence > before


async def test_a_change_leaves_the_services_that_it_does_not_name() -> None:
    publisher = a_publisher()
    await publisher.publish(Update(1, True, (a_service("a"), a_service("b"))))

    await publisher.publish(Update(2, False, (a_service("c"),), removed=("a",)))

    assert publisher.services.keys() == {"b", "c"}


async def test_a_generation_is_applied_when_every_envoy_has_it_and_it_is_on_disk() -> None:
    publisher, applied = a_publisher(), list[tuple[int, int]]()
    publisher.on_applied = lambda generation, envoys: applied.append((generation, envoys))
    async with an_envoy(publisher):
        await publisher.publish(Update(7, True, (a_service("a"),)))
        await until(lambda: publisher.envoys.applied() == publisher.sequence, "the Envoy to have it")
        before = list(applied)

        publisher.was_saved(publisher.sequence)

        assert (before, applied) == ([], [(7, 1)])


async def test_a_service_that_an_envoy_refuses_as_the_last_thing_holds_up_no_generation() -> None:
    publisher, applied = a_publisher(), list[int]()
    publisher.on_applied = lambda generation, _: applied.append(generation)
    async with an_envoy(publisher):
        for update in (Update(1, True, ()), Update(2, False, (a_service("bad", 1),))):
            await publisher.publish(update)
            publisher.was_saved(publisher.sequence)
            await until(lambda: applied[-1:] == [update.generation], "the generation to be applied")  # noqa: B023

    assert applied == [1, 2]


async def test_with_no_envoy_connected_nothing_is_applied() -> None:
    publisher, applied = a_publisher(), list[int]()
    publisher.on_applied = lambda generation, _: applied.append(generation)

    await publisher.publish(Update(7, True, (a_service("a"),)))
    publisher.was_saved(publisher.sequence)

    assert applied == []


async def test_a_full_update_without_a_difference_is_acknowledged_again() -> None:
    publisher, applied = a_publisher(), list[int]()
    publisher.on_applied = lambda generation, _: applied.append(generation)
    async with an_envoy(publisher):
        for _ in range(2):
            await publisher.publish(Update(7, True, (a_service("a"),)))
            publisher.was_saved(publisher.sequence)
            await until(lambda: publisher.envoys.applied() == publisher.sequence, "the Envoy to have it")

    assert applied == [7, 7]


async def test_what_was_published_is_found_on_disk_again(tmp_path: Path) -> None:
    publisher, stop = a_publisher(), asyncio.Event()
    saving = asyncio.create_task(Snapshots(publisher, tmp_path / "snapshot").run(until=stop))

    await publisher.publish(Update(3, True, (a_service("a", 1, 2), a_service("b"))))
    await publisher.publish(Update(4, False, (a_service("c", 3),), removed=("b",)))
    await until(lambda: publisher.saved == publisher.sequence, "the snapshot")
    stop.set()
    await saving

    expected = (a_service("a", 1, 2), a_service("c", 3))
    settings = EdgeSettings()
    assert load(tmp_path / "snapshot") == Update(4, True, expected, settings=settings, hosted=())


def test_a_snapshot_that_is_not_there_or_broken_is_none(tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.write_bytes(b"\xff\xff\xff")

    assert load(tmp_path / "missing") is None
    assert load(broken) is None


@pytest.mark.parametrize("kept", [0, 1, 20, -7])
def test_a_snapshot_that_was_cut_off_takes_no_service_away(tmp_path: Path, kept: int) -> None:
    parts = [pb.RoutesUpdate(services=[pb.ServiceRoute(name=name)]).SerializeToString() for name in "abc"]
    path = tmp_path / "snapshot"
    save(path, 1, parts)
    path.write_bytes(path.read_bytes()[:kept])

    assert load(path) is None


async def test_a_snapshot_that_could_not_be_written_is_written_later(tmp_path: Path) -> None:
    publisher, stop = a_publisher(), asyncio.Event()
    full = tmp_path / "snapshot.draft"
    full.mkdir()
    saving = asyncio.create_task(Snapshots(publisher, tmp_path / "snapshot").run(until=stop))
    await publisher.publish(Update(3, True, (a_service("a"),)))
    await until(lambda: publisher.saved == publisher.sequence, "the failed write to hold nothing up")

    full.rmdir()

    await until(lambda: load(tmp_path / "snapshot"), "the snapshot")
    stop.set()
    await saving


async def test_an_envoy_that_comes_during_the_first_update_waits_for_all_of_it() -> None:
    publisher, services = a_publisher(), tuple(a_service(f"s{number}") for number in range(1_000))
    told: list[int] = []
    publishing = asyncio.create_task(publisher.publish(Update(1, True, services)))
    await asyncio.sleep(0)

    async def requests() -> AsyncIterator[Request]:
        for type_url in (CLUSTER, LISTENER, SCOPE):
            yield Request(type_url)
        await asyncio.Event().wait()

    async for response in publisher.envoys.stream(requests()):
        if response.type_url == SCOPE:
            told.append(len(response.resources))
            break
    await publishing

    assert told == [2_000]


def test_a_failed_write_leaves_the_last_snapshot(tmp_path: Path) -> None:
    path = tmp_path / "snapshot"
    save(path, 1, [])
    (tmp_path / "snapshot.draft").mkdir()

    with pytest.raises(OSError, match="directory"):
        save(path, 2, [])

    assert load(path) == Update(1, True)


def test_a_service_survives_the_wire() -> None:
    service = a_service("a", 1, 2)

    assert service_from_proto(service_to_proto(service)) == service


@pytest.mark.parametrize("listen", ["8800", "127.0.0.1", "127.0.0.1:http", "127.0.0.1:70000"])
def test_an_address_without_host_or_port_is_refused(listen: str) -> None:
    with pytest.raises((InvalidRequest, ValueError), match="listen"):
        Settings(listen=listen)


def test_a_refused_setting_does_not_show_the_token() -> None:
    with pytest.raises(ValueError, match="envoy_concurrency") as refused:
        Settings(join_token="s3cr3t", envoy_concurrency=-1)

    assert "s3cr3t" not in str(refused.value)


def test_an_empty_token_opens_no_door() -> None:
    assert doors((Token(""),)) == ()


def test_sockets_are_not_put_where_others_could_reach_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long, shared = tmp_path / ("d" * 100), tmp_path / "t"
    shared.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(shared))
    directory = Path(socket_address(long, "x.sock").removeprefix("unix:")).parent
    directory.rmdir()
    (tmp_path / "elsewhere").mkdir()
    directory.symlink_to(tmp_path / "elsewhere")

    with pytest.raises(FailedPrecondition, match="is open to other users"):
        socket_address(long, "x.sock")
