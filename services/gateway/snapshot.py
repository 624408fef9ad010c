"""What the gateway knew last, on disk, so that a restart does not depend on the scheduler."""

import asyncio
import hashlib
import logging
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Generic, TypeVar

from google.protobuf.message import DecodeError

from easel.gateway.v1 import gateway_pb2 as pb
from libs.files import replace_file
from libs.lifecycle import pause
from services.gateway.publisher import Publisher
from services.gateway.routes import Group, Service, Update
from services.gateway.translate import (
    group_to_proto,
    hosted_to_proto,
    service_to_proto,
    settings_to_proto,
    update_from_proto,
)

log = logging.getLogger(__name__)

Named = TypeVar("Named", Service, Group)

_DIGEST_BYTES = 16
_AGAIN = timedelta(seconds=1)


def load(path: Path) -> Update | None:
    """The last saved state; None when there is none, or none that can be read (which is said)."""
    try:
        content = path.read_bytes()
        # A file that lost its end could be read as one with fewer services, and they would be taken away.
        if content[:_DIGEST_BYTES] != _digest(content[_DIGEST_BYTES:]):
            raise ValueError(f"{path} is not what was written")
        return update_from_proto(pb.RoutesUpdate.FromString(content[_DIGEST_BYTES:]))
    except FileNotFoundError:
        return None
    except (OSError, DecodeError, ValueError) as unreadable:
        log.warning("the snapshot cannot be read and is not used", extra={"why": str(unreadable)})
        return None


def save(path: Path, generation: int, parts: list[bytes]) -> None:
    """Writes the state whole or not at all; it holds tokens, so only the owner may read it."""
    content = b"".join([pb.RoutesUpdate(generation=generation, full=True).SerializeToString(), *parts])
    replace_file(path, _digest(content) + content, durable=True)


def _digest(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=_DIGEST_BYTES).digest()


class _Serialised(Generic[Named]):
    """The parts for services, or for groups: made anew for those only that are not what they were."""

    def __init__(self, part_of: Callable[[Named], pb.RoutesUpdate]) -> None:
        self._part_of: Callable[[Named], pb.RoutesUpdate] = part_of
        self._held: dict[str, tuple[Named, bytes]] = {}

    def of(self, known: Mapping[str, Named]) -> list[bytes]:
        """The parts of all that is known."""
        for name in self._held.keys() - known.keys():
            del self._held[name]
        for name, each in known.items():
            held = self._held.get(name)
            if held is None or held[0] is not each:
                self._held[name] = (each, self._part_of(each).SerializeToString())
        return [body for _, body in self._held.values()]


class Snapshots:
    """Saves every change soon after it happened; changes that come during a write share the next one."""

    def __init__(self, publisher: Publisher, path: Path) -> None:
        self._publisher, self._path = publisher, path
        self._services = _Serialised[Service](lambda each: pb.RoutesUpdate(services=[service_to_proto(each)]))
        self._groups = _Serialised[Group](lambda each: pb.RoutesUpdate(groups=[group_to_proto(each)]))
        self._refused = ""

    async def run(self, until: asyncio.Event) -> None:
        """Saves until stopped. Spends at most a third of the time writing, however fast changes come."""
        while not until.is_set():
            await _first_of(self._publisher.changed, until)
            self._publisher.changed.clear()
            began = time.monotonic()
            if await self._save_now():
                await pause(until, timedelta(seconds=2 * (time.monotonic() - began)))
            else:
                self._publisher.changed.set()
                await pause(until, _AGAIN)

    async def _save_now(self) -> bool:
        """False when the disk refused, which is said once and holds nothing up."""
        sequence, generation = self._publisher.sequence, self._publisher.generation
        parts = self._serialised()
        try:
            await asyncio.to_thread(save, self._path, generation, parts)
            refused = ""
        except OSError as error:
            refused = str(error)
        if refused and refused != self._refused:
            log.error("the snapshot cannot be written", extra={"why": refused})
        self._refused = refused
        self._publisher.was_saved(sequence)
        return not refused

    def _serialised(self) -> list[bytes]:
        """Parts of one message."""
        rest = pb.RoutesUpdate(
            settings=settings_to_proto(self._publisher.settings),
            hosted=hosted_to_proto(self._publisher.hosted),
        )
        return [
            rest.SerializeToString(),
            *self._services.of(self._publisher.services),
            *self._groups.of(self._publisher.groups),
        ]


async def _first_of(*events: asyncio.Event) -> None:
    waiting = [asyncio.create_task(event.wait()) for event in events]
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in waiting:
            each.cancel()
