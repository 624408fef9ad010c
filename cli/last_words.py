"""The end of what failing instances write, heard while they are there: one that failed may soon be gone."""

import asyncio
import contextlib
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self

from cli.output import err
from cli.session import listed
from easel_sdk.errors import EaselError
from easel_sdk.types import Instance, InstanceState

if TYPE_CHECKING:
    from easel_sdk import AsyncEasel

_TAIL = 20
_BYTES = 64 * 1024
# So many are listened to at once: what one says of a version that fails, the others say too.
_MOST = 3
_SAYS_NOTHING = (InstanceState.PENDING, InstanceState.SCHEDULED, InstanceState.PULLING)


class LastWords:
    """Listens to instances of one version that are not ready. Use it as a context manager."""

    def __init__(self, easel: "AsyncEasel", service: str, version: int) -> None:
        self._easel, self._service, self._version = easel, service, version
        self._words: dict[str, bytes] = {}
        self._ears: dict[str, asyncio.Task[None]] = {}
        self._heard_at: dict[str, tuple[InstanceState, int]] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for ear in self._ears.values():
            ear.cancel()
        await asyncio.gather(*self._ears.values(), return_exceptions=True)

    def listen(self, instances: Sequence[Instance]) -> None:
        """Begins with those that are not ready yet; what one wrote that became ready is forgotten."""
        for each in instances:
            if each.version != self._version or each.state in _SAYS_NOTHING:
                continue
            if each.ready:
                self._forget(each.id)
            elif self._worth_hearing(each):
                self._heard_at[each.id] = (each.state, each.restarts)
                self._ears[each.id] = asyncio.create_task(self._hear(each.id))

    def _worth_hearing(self, instance: Instance) -> bool:
        ear = self._ears.get(instance.id)
        if ear is not None and not ear.done():
            return False
        busy = sum(not each.done() for each in self._ears.values())
        return busy < _MOST and self._heard_at.get(instance.id) != (instance.state, instance.restarts)

    def _forget(self, instance_id: str) -> None:
        if (ear := self._ears.pop(instance_id, None)) is not None:
            ear.cancel()
        self._words.pop(instance_id, None)
        self._heard_at.pop(instance_id, None)

    async def _hear(self, instance_id: str) -> None:
        text = b""
        with contextlib.suppress(EaselError):
            async for piece in self._easel.instances.logs(instance_id, follow=True, tail=_TAIL):
                text = (text + piece)[-_BYTES:]
                # Put behind those of before: the newest words are the last.
                self._words.pop(instance_id, None)
                self._words[instance_id] = text

    async def show(self) -> None:
        """Shows the end of what a troubled instance wrote, when there is one and it wrote something."""
        for instance_id, text in list(self._words.items())[::-1] or await self._asked_now():
            if text.strip():
                err().print(f"the end of what {instance_id} wrote:", markup=False)
                for line in text.decode("utf-8", errors="replace").splitlines()[-_TAIL:]:
                    err().print(f"  | {line}", markup=False)
                return

    async def _asked_now(self) -> list[tuple[str, bytes]]:
        instances = await listed(self._easel.instances.list(service=self._service))
        for each in [each for each in instances if not each.ready][:1]:
            text = b""
            with contextlib.suppress(EaselError, TimeoutError):
                async with asyncio.timeout(5):
                    async for piece in self._easel.instances.logs(each.id, tail=_TAIL):
                        text += piece
            return [(each.id, text)]
        return []
