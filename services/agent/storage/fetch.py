"""One object of a store, fetched into the cache in pieces, from where an earlier try ended."""

import asyncio
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from libs.files import replace_file
from services.agent.runtime.port import PrepareFailed
from services.agent.storage.background import for_each
from services.agent.storage.digests import Seen
from services.agent.storage.failures import disk_failure
from services.agent.storage.layout import Layout, identity_of
from services.agent.storage.locks import locked, on_change
from services.agent.storage.object_store import ObjectStore, StoredObject
from services.agent.storage.part import Part
from services.agent.storage.sources import StoreSource

_MD5 = re.compile(r"[0-9a-f]{32}")
_PIECES_OF_ONE = 8


@dataclass(frozen=True)
class Wish:
    """An object of a source, under the name that the same bytes always have."""

    source: StoreSource
    stored: StoredObject

    @property
    def identity(self) -> str:
        source, stored = self.source, self.stored
        return identity_of(source.endpoint, source.bucket, stored.key, stored.etag, str(stored.size))


class Fetcher:
    """Puts objects into the cache. At most `pieces` of 8 MiB are in memory at once, for all who ask."""

    def __init__(self, layout: Layout, seen: Seen, pieces: int) -> None:
        self._layout, self._seen, self._pieces = layout, seen, asyncio.Semaphore(pieces)

    def known(self, wish: Wish, checked: Callable[[], None]) -> str | None:
        """The digest of an object whose blob is in the cache as it was fetched; None otherwise.

        Blocks while the blob is read, of which `checked` is told on the way.
        """
        index = self._layout.index(wish.identity)
        with suppress(OSError, UnicodeDecodeError):
            digest = index.read_text(encoding="ascii")
            blob = self._layout.blob(digest)
            if blob.is_file() and self._seen.intact(blob, digest, checked):
                return digest
            # What no longer is what was fetched is not kept: nobody may find it again.
            blob.unlink(missing_ok=True)
            index.unlink(missing_ok=True)
        return None

    def begun(self, wish: Wish) -> int:
        """Bytes of an object that lie on the disk from a try before. Blocks."""
        with suppress(OSError):
            return (self._layout.parts / f"{wish.identity}.part").stat().st_blocks * 512
        return 0

    async def fetch(self, store: ObjectStore, wish: Wish, moved: Callable[[int], None]) -> str:
        """The digest of the blob, which is there then. `moved` is told of bytes, also of those there before.

        Raises PrepareFailed, and Changed when the object is no longer what was listed.
        """
        lock = self._layout.lock(wish.identity)

        def tell(count: int) -> None:
            # Seen by those who wait for the lock.
            lock.touch()
            moved(count)

        async with locked(lock, on_change(lock, partial(moved, 0))):
            digest = await asyncio.to_thread(self.known, wish, partial(tell, 0))
            if digest is not None:
                moved(wish.stored.size)
            else:
                try:
                    digest = await self._fetch(store, wish, tell)
                except OSError as refused:
                    raise disk_failure(refused, _name(wish)) from refused
            lock.unlink(missing_ok=True)
            return digest

    async def _fetch(self, store: ObjectStore, wish: Wish, moved: Callable[[int], None]) -> str:
        part = Part(self._layout.parts, wish.identity, wish.stored.size)
        encrypted = False

        async def get(index: int) -> None:
            nonlocal encrypted
            async with self._pieces:
                begin, end = part.bounds(index)
                piece = await store.piece(wish.stored, begin, end, partial(moved, 0))
                encrypted = encrypted or piece.encrypted
                await asyncio.to_thread(part.put, index, piece.content)
            moved(end - begin)

        try:
            missing = await asyncio.to_thread(part.resume, partial(moved, 0))
            moved(part.done)
            await for_each(missing, get, _PIECES_OF_ONE)
            return await asyncio.to_thread(self._keep, part, wish, encrypted, partial(moved, 0))
        finally:
            part.close()

    def _keep(self, part: Part, wish: Wish, encrypted: bool, checked: Callable[[], None]) -> str:
        etag = wish.stored.etag
        if not encrypted and part.count and _MD5.fullmatch(etag) and part.md5() != etag:
            part.discard()
            raise PrepareFailed(f"{_name(wish)}: what came is not what the store says it has; fetching anew")
        digest = part.digest()
        blob = self._layout.blob(digest)
        if self._seen.intact(blob, digest, checked):
            part.discard()
        else:
            part.publish(blob)
            self._seen.note(blob, digest)
        replace_file(self._layout.index(wish.identity), digest.encode())
        return digest


def _name(wish: Wish) -> str:
    return f"oss://{wish.source.bucket}/{wish.stored.key}"
