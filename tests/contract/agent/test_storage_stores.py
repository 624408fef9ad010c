"""Directories of object stores, against a server that speaks the S3 protocol."""

import asyncio
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from libs.domain.causes import Cause
from services.agent.runtime.port import Attempt, PrepareFailed, Running, WarmUpFailed
from services.agent.runtime.process_runtime import ProcessRuntime, ProcessSettings
from services.agent.runtime.venvs import Venvs
from services.agent.storage.digests import PIECE
from services.agent.storage.sources import StoreSource
from services.agent.warm_up import WarmUp
from services.agent.workload import Workload
from tests.support.free_ports import free_port
from tests.support.s3_server import S3Server
from tests.support.storage_stage import Node, Told
from tests.support.waiting import until

MIB = 1 << 20


async def refused(node: Node, source: StoreSource) -> PrepareFailed:
    with pytest.raises(PrepareFailed) as caught:
        await node.ensure("i-1", source)
    return caught.value


async def test_what_lies_below_a_prefix_is_seen_and_nothing_else(s3: S3Server, node: Node) -> None:
    s3.put("model/weights.bin", b"weights")
    s3.put("model/deep/er/empty", b"")
    s3.put("model2/other", b"other")

    place = await node.ensure("i-1", s3.source("model"))

    files = {str(path.relative_to(place)) for path in place.rglob("*") if path.is_file()}
    assert files == {"weights.bin", "deep/er/empty"}
    assert (place / "weights.bin").read_bytes() == b"weights"


async def test_four_instances_of_a_node_fetch_a_model_once(s3: S3Server, node: Node) -> None:
    content = os.urandom(3 * PIECE + 5)
    s3.put("model/weights.bin", content)
    told = [Told() for _ in range(4)]

    places = await asyncio.gather(
        *(node.ensure(f"i-{number}", s3.source(), told=each) for number, each in enumerate(told))
    )

    assert [(place / "weights.bin").read_bytes() == content for place in places] == [True] * 4
    assert len(s3.gets) == 4, "one for each piece"
    assert {place.resolve() for place in places} == {places[0].resolve()}
    fetched = [each.bytes[-1] for each in told if each.bytes]
    assert (s3.source().name, len(content), len(content)) in fetched


async def test_two_agents_of_one_host_fetch_once_into_a_cache_they_share(s3: S3Server, node: Node) -> None:
    s3.put("model/weights.bin", os.urandom(2 * PIECE))
    other = Node(node.directory, "other")

    await asyncio.gather(node.ensure("i-1", s3.source()), other.ensure("i-2", s3.source()))

    other.storage.close()
    assert len(s3.gets) == 2, "one for each piece"


async def test_equal_files_of_two_versions_are_kept_once(s3: S3Server, node: Node) -> None:
    same = os.urandom(MIB)
    s3.put("v1/weights.bin", same)
    s3.put("v2/weights.bin", same)

    await node.ensure("i-1", s3.source("v1"))
    await node.ensure("i-2", s3.source("v2"))

    assert len(node.cached()) == 1


async def test_a_fetch_that_was_killed_goes_on_from_where_it_was(s3: S3Server, node: Node) -> None:
    content = os.urandom(12 * PIECE)
    s3.put("model/weights.bin", content)
    s3.hold_after(6)
    with node.fetching_apart("i-1", s3.source()) as agent:
        await until(lambda: node.journalled() == 6, "half of the pieces")
        agent.kill()
        agent.wait()
    before = len(s3.gets)
    s3.hold_after(None)

    place = await node.ensure("i-1", s3.source())

    assert len(s3.gets) - before == 6, "only what was missing"
    assert (place / "weights.bin").read_bytes() == content


async def test_pieces_that_a_journal_names_and_the_disk_lost_are_fetched_again(
    s3: S3Server, node: Node
) -> None:
    content = os.urandom(4 * PIECE)
    s3.put("model/weights.bin", content)
    s3.hold_after(2)
    with node.fetching_apart("i-1", s3.source()) as agent:
        await until(lambda: node.journalled() == 2, "half of the pieces")
        agent.kill()
        agent.wait()
    s3.hold_after(None)
    (part,) = (node.directory / "cache" / "parts").glob("*.part")
    part.write_bytes(bytes(len(content)))

    place = await node.ensure("i-1", s3.source())

    assert (place / "weights.bin").read_bytes() == content


@pytest.mark.parametrize("restarted", [False, True])
async def test_a_corrupted_file_is_noticed_before_an_instance_uses_it(
    s3: S3Server, node: Node, restarted: bool
) -> None:
    content = os.urandom(MIB)
    s3.put("model/weights.bin", content)
    await node.ensure("i-1", s3.source())
    (blob,) = node.cached()
    state = blob.stat()
    blob.chmod(0o600)
    with blob.open("r+b") as file:
        file.seek(4711)
        file.write(b"\0corrupted\0")
    if restarted:
        # As a disk corrupts: nothing of it shows outside.
        os.utime(blob, ns=(state.st_atime_ns, state.st_mtime_ns))
        node.restart()

    place = await node.ensure("i-2", s3.source())

    assert (place / "weights.bin").read_bytes() == content
    assert len(s3.gets) == 2


async def test_an_object_that_changes_while_it_is_fetched_is_fetched_as_it_is_then(
    s3: S3Server, node: Node
) -> None:
    s3.put("model/weights.bin", os.urandom(3 * PIECE))
    s3.hold_after(1)
    ensuring = asyncio.create_task(node.ensure("i-1", s3.source()))
    await until(lambda: len(s3.gets) == 3, "the reads to be held")
    newer = os.urandom(3 * PIECE)
    s3.put("model/weights.bin", newer)
    s3.hold_after(None)

    place = await ensuring

    assert (place / "weights.bin").read_bytes() == newer


async def test_an_object_that_vanishes_while_it_is_fetched_is_not_waited_for(
    s3: S3Server, node: Node
) -> None:
    s3.put("model/gone.bin", os.urandom(2 * PIECE))
    s3.put("model/kept.bin", b"kept")
    s3.hold_after(0)
    ensuring = asyncio.create_task(node.ensure("i-1", s3.source()))
    await until(lambda: len(s3.gets) == 3, "the reads to be held")
    s3.client.delete_object(Bucket=s3.bucket, Key="model/gone.bin")
    s3.hold_after(None)

    place = await ensuring

    assert [path.name for path in place.iterdir()] == ["kept.bin"]


async def test_a_fetch_whose_instance_is_no_longer_wanted_ends_and_can_go_on(
    s3: S3Server, node: Node
) -> None:
    content = os.urandom(4 * PIECE)
    s3.put("model/weights.bin", content)
    s3.hold_after(2)
    ensuring = asyncio.create_task(node.ensure("i-1", s3.source()))
    await until(lambda: node.journalled() == 2, "half of the pieces")
    ensuring.cancel()
    await asyncio.wait([ensuring])
    await node.storage.release("i-1")
    s3.hold_after(None)
    before = len(s3.gets)

    place = await node.ensure("i-2", s3.source())

    assert (place / "weights.bin").read_bytes() == content
    assert len(s3.gets) - before == 2


async def test_eviction_spares_what_instances_use(s3: S3Server, tmp_path: Path) -> None:
    node = Node(tmp_path, settings={"max_gib": 20 / 1024})
    for name in ("used", "unused", "wanted"):
        s3.put(f"{name}/weights.bin", os.urandom(8 * MIB))
    used = await node.ensure("i-used", s3.source("used"))
    await node.ensure("i-unused", s3.source("unused"))
    await node.storage.release("i-unused")
    node.restart()

    await node.ensure("i-wanted", s3.source("wanted"))

    node.storage.close()
    assert len((used / "weights.bin").read_bytes()) == 8 * MIB
    assert len(node.cached()) == 2


async def test_what_does_not_fit_beside_what_is_used_is_refused(s3: S3Server, tmp_path: Path) -> None:
    node = Node(tmp_path, settings={"max_gib": 10 / 1024})
    s3.put("used/weights.bin", os.urandom(8 * MIB))
    s3.put("model/weights.bin", os.urandom(8 * MIB))
    await node.ensure("i-used", s3.source("used"))

    why = await refused(node, s3.source())

    node.storage.close()
    assert why.cause is Cause.NO_SPACE
    assert "8 MiB are to be fetched and 6 MiB too few are free in the cache (10 MiB)" in str(why)


async def test_a_path_with_nothing_below_it_is_said(s3: S3Server, node: Node) -> None:
    why = await refused(node, s3.source("nothing"))

    assert (why.cause, str(why)) == (
        Cause.STORAGE_NOT_FOUND,
        f"oss://{s3.bucket}/nothing: nothing is stored there",
    )


async def test_a_bucket_that_is_not_there_is_said(s3: S3Server, node: Node) -> None:
    source = StoreSource("no-such-bucket", "x", s3.endpoint, access_key_id="reader", secret_access_key="s")

    assert (await refused(node, source)).cause is Cause.STORAGE_NOT_FOUND


async def test_an_account_that_may_not_read_is_said(s3: S3Server, node: Node) -> None:
    why = await refused(node, s3.source(access_key_id="stranger"))

    assert why.cause is Cause.STORAGE_ACCESS_DENIED
    assert f"{s3.endpoint} refuses the access" in str(why)
    assert "let-me-read" not in str(why)


async def test_a_server_that_is_away_is_said(node: Node) -> None:
    endpoint = f"http://127.0.0.1:{free_port()}"

    why = await refused(node, StoreSource("models", "x", endpoint, access_key_id="k", secret_access_key="s"))

    assert why.cause is Cause.STORAGE_UNREACHABLE
    assert f"oss://models/x: {endpoint} cannot be reached" in str(why)


async def test_names_that_lead_out_of_the_mount_are_refused(s3: S3Server, node: Node) -> None:
    s3.put("model/a/../../../evil", b"x")

    assert "cannot be the name of a file" in str(await refused(node, s3.source()))


async def test_what_another_mount_fetches_is_waited_for_as_long_as_it_goes_forward(
    s3: S3Server, node: Node
) -> None:
    s3.put("model/deep/weights.bin", os.urandom(4 * PIECE))
    s3.hold_after(1)
    told = Told()
    first = asyncio.create_task(node.ensure("i-1", s3.source("model")))
    await until(lambda: node.journalled() == 1, "the first piece")
    second = asyncio.create_task(node.ensure("i-2", s3.source("model/deep"), told=told))
    await until(lambda: told.moves > 0, "the second to wait")

    for pieces in (2, 3):
        moves = told.moves
        s3.hold_after(pieces - len(s3.gets))
        await until(lambda moves=moves: told.moves > moves, "a sign of life of the other fetch")  # type: ignore[misc]

    s3.hold_after(None)
    await asyncio.gather(first, second)
    assert len(s3.gets) == 4, "one for each piece"


async def test_fetched_objects_leave_no_locks(s3: S3Server, node: Node) -> None:
    for number in range(5):
        s3.put(f"model/{number}", b"x" * number)

    await node.ensure("i-1", s3.source())

    assert len(list((node.directory / "cache" / "locks").iterdir())) == 1, "that of the directory"


async def test_warm_up_data_that_change_while_they_are_read_are_a_failure_that_is_said(
    s3: S3Server, tmp_path: Path
) -> None:
    runtime = ProcessRuntime(ProcessSettings(tmp_path, "127.0.0.1", range(0)), Venvs(tmp_path, "", {}))
    path = f"oss://{s3.bucket}/model/warm.txt"
    workload = Workload("i-1", "digits", 1, 1, "h", warm_up_path=path, warm_up_origin=s3.source())
    running = Running("i-1", "digits", 1, 1, "h", Attempt(), "127.0.0.1", 1, datetime.now(UTC))
    s3.put("model/warm.txt", b"one")
    s3.hold_after(0)
    warming = asyncio.create_task(WarmUp(runtime)(workload, running, lambda _: None))
    await until(lambda: len(s3.gets) == 1, "the read to be held")
    s3.put("model/warm.txt", b"two")
    s3.hold_after(None)

    with pytest.raises(WarmUpFailed, match="it was changed while it was read"):
        await warming
