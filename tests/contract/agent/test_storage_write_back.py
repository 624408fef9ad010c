"""Mounts of object stores that instances write into."""

import asyncio
import json
import os
import time
from datetime import timedelta
from pathlib import Path

import pytest

from services.agent.storage.sources import StoreSource
from services.agent.storage.working_copy import opened_below
from tests.support.s3_server import S3Server
from tests.support.storage_stage import Node
from tests.support.waiting import until

MIB = 1 << 20


async def writable(node: Node, source: StoreSource, instance: str = "i-1") -> Path:
    return await node.ensure(instance, source, read_only=False)


def written_long_ago(file: Path, content: str) -> None:
    """A file that nobody is writing any more."""
    file.write_text(content)
    os.utime(file, (time.time() - 60, time.time() - 60))


async def test_an_end_writes_back_what_was_changed_and_removed(s3: S3Server, node: Node) -> None:
    for name in ("kept", "changed", "removed"):
        s3.put(f"out/{name}", b"before")
    place = await writable(node, s3.source("out"))
    (place / "changed").write_text("after")
    (place / "removed").unlink()
    (place / "sub").mkdir()
    (place / "sub" / "made").write_text("new")

    await node.storage.release("i-1")

    assert s3.keys() == ["out/changed", "out/kept", "out/sub/made"]
    assert (s3.get("out/changed"), s3.get("out/kept")) == (b"after", b"before")
    assert not place.parent.exists()


async def test_a_large_file_is_written_back_in_parts(s3: S3Server, node: Node) -> None:
    place = await writable(node, s3.source("out"))
    content = os.urandom(40 * MIB)
    (place / "large").write_bytes(content)

    await node.storage.release("i-1")

    assert s3.get("out/large") == content


async def test_what_was_written_is_written_back_while_the_instance_runs(s3: S3Server, node: Node) -> None:
    place = await writable(node, s3.source("out"))
    written_long_ago(place / "done", "done")
    (place / "under-way").write_text("half")

    await node.storage.look({"i-1"})

    assert s3.keys() == ["out/done"]


async def test_instances_do_not_write_into_what_others_have_mounted(s3: S3Server, node: Node) -> None:
    s3.put("out/file", b"before")
    reader = await node.ensure("i-2", s3.source("out"))
    place = await writable(node, s3.source("out"))

    (place / "file").write_text("after")

    assert (reader / "file").read_bytes() == b"before"


async def test_what_a_killed_agent_had_not_written_back_is_so_by_the_next(s3: S3Server, node: Node) -> None:
    place = await writable(node, s3.source("out"))
    written_long_ago(place / "file", "kept")
    node.restart()

    await node.storage.look({"i-1"})
    again = await writable(node, s3.source("out"))

    assert s3.get("out/file") == b"kept"
    assert (again / "file").read_text() == "kept"


async def test_an_instance_that_is_no_longer_here_is_written_back_and_removed(
    s3: S3Server, node: Node
) -> None:
    place = await writable(node, s3.source("out"))
    (place / "file").write_text("last words")
    node.restart()

    await node.storage.look(set())
    await node.storage.look(set())

    assert s3.get("out/file") == b"last words"
    assert not place.parent.exists()


async def test_a_store_that_is_away_at_the_end_gets_the_rest_when_it_is_back(tmp_path: Path) -> None:
    node, s3 = Node(tmp_path), S3Server()
    with s3.running():
        place = await writable(node, s3.source("out"))
    (place / "file").write_text("last words")

    await node.storage.release("i-1")
    kept = (place / "file").exists()
    with s3.running():
        await node.storage.look(set())

        assert (kept, s3.get("out/file")) == (True, b"last words")
    node.storage.close()
    assert not place.parent.exists()


async def test_credentials_are_on_the_disk_for_their_owner_alone(s3: S3Server, node: Node) -> None:
    place = await writable(node, s3.source("out"))

    holding = [
        path for path in node.directory.rglob("*") if path.is_file() and b"let-me-read" in path.read_bytes()
    ]

    assert [(path.name, path.stat().st_mode & 0o777) for path in holding] == [("0.origin", 0o600)]
    assert json.loads(holding[0].read_text())["bucket"] == s3.bucket
    assert place.parent.stat().st_mode & 0o777 == 0o700


async def test_a_file_that_cannot_be_written_back_holds_up_no_other(s3: S3Server, node: Node) -> None:
    s3.put("out/removed", b"before")
    place = await writable(node, s3.source("out"))
    (place / "removed").unlink()
    (place / os.fsdecode(b"a-\xff-in-no-alphabet")).write_text("kept here")
    (place / "b").write_text("written back")

    await node.storage.release("i-1")

    assert s3.keys() == ["out/b"]
    assert place.exists()


async def test_an_instance_that_is_wanted_again_while_its_end_is_written_back_loses_nothing(
    tmp_path: Path,
) -> None:
    times = {"write_back_within": timedelta(0), "write_back_every": timedelta(seconds=0.05)}
    node, s3 = Node(tmp_path, settings=times), S3Server()
    with s3.running():
        place = await writable(node, s3.source("out"))
    (place / "first").write_text("first")
    await node.storage.release("i-1")

    await writable(node, s3.source("out"))
    (place / "second").write_text("second")
    await node.storage.release("i-1")

    async def nobody() -> set[str]:
        return set()

    with s3.running():
        looking = asyncio.create_task(node.storage.run(nobody))
        await until(lambda: not place.parent.exists(), "the end")
        looking.cancel()
        assert s3.keys() == ["out/first", "out/second"]
    node.storage.close()


@pytest.mark.parametrize("linked", ["deep", "deep/file"])
def test_a_link_that_took_the_place_of_a_file_is_not_followed(tmp_path: Path, linked: str) -> None:
    tree, outside = tmp_path / "tree", tmp_path / "outside"
    for directory in (tree / "deep", outside):
        directory.mkdir(parents=True)
        (directory / "file").write_text(str(directory))
    with opened_below(tree, "deep/file") as file:
        before = file.read().decode()
    (tree / linked).rename(tmp_path / "aside")
    (tree / linked).symlink_to(outside if linked == "deep" else outside / "file")

    with pytest.raises(FileNotFoundError):
        opened_below(tree, "deep/file")

    assert before == str(tree / "deep")
