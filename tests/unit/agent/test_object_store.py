"""What the storage makes of objects, pieces and refusals, without a store."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from libs.domain.errors import EaselError
from services.agent.storage.digests import PIECE
from services.agent.storage.failures import Changed
from services.agent.storage.object_store import ObjectStore, StoredObject
from services.agent.storage.part import Part
from services.agent.storage.sources import StoreSource

OBJECT = StoredObject("weights.bin", "weights.bin", 6, "etag")


class Refused(OSError):
    """As the library below says that a store refused."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.response = {"Error": {"Code": code}}


class Body:
    """The answer to a read, which comes in these parts."""

    def __init__(self, *parts: bytes) -> None:
        self._parts = list(parts)

    async def __aenter__(self) -> "Body":
        return self

    async def __aexit__(self, *_: object) -> None: ...

    async def read(self, _: int) -> bytes:
        await asyncio.sleep(0)
        return self._parts.pop(0) if self._parts else b""


class Files:
    """Answers each call with the next of `answers`."""

    def __init__(self, *answers: Any) -> None:
        self._answers = list(answers)

    async def _call_s3(self, method: str, **_: Any) -> Any:
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def a_store(*answers: Any) -> ObjectStore:
    return ObjectStore(StoreSource("models", "", "http://store"), Files(*answers), (OSError,))


async def test_deleting_what_is_not_there_any_more_is_no_failure() -> None:
    await a_store(Refused("NoSuchKey")).delete("gone")


async def test_an_object_that_changed_is_a_refusal_that_its_owner_can_read() -> None:
    with pytest.raises(Changed) as caught:
        await a_store(Refused("PreconditionFailed")).piece(OBJECT, 0, 6)

    assert isinstance(caught.value, EaselError)
    assert str(caught.value) == "oss://models/weights.bin: it was changed while it was read"


async def test_a_piece_is_whole_however_small_the_parts_are_in_which_it_comes() -> None:
    store = a_store({"Body": Body(b"abc")}, {"Body": Body(b"a", b"bcd", b"ef")})

    piece = await store.piece(OBJECT, 0, 6)

    assert piece.content == b"abcdef", "asked again after half of it"


def test_going_on_with_a_large_file_shows_signs_of_life(tmp_path: Path) -> None:
    part = Part(tmp_path, "model", 2 * PIECE)
    moves: list[None] = []
    part.resume(lambda: None)
    for index in (0, 1):
        part.put(index, bytes(PIECE))
    part.close()

    missing = Part(tmp_path, "model", 2 * PIECE).resume(lambda: moves.append(None))

    assert (missing, len(moves)) == ([], 2)


def test_a_fetch_that_was_given_up_writes_into_no_file_any_more(tmp_path: Path) -> None:
    part = Part(tmp_path, "model", 2 * PIECE)
    part.resume(lambda: None)
    part.close()

    with (tmp_path / "other").open("wb"), pytest.raises(OSError, match="given up"):
        part.put(0, bytes(PIECE))

    assert (tmp_path / "other").read_bytes() == b""
