"""The newest known status of every instance of this node, and which of them changed."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from libs.domain.causes import Cause
from libs.domain.progress import Progress
from libs.domain.scaling import StartPhase
from libs.domain.states import InstanceState


@dataclass(frozen=True)
class Status:
    """What the scheduler is told of one instance."""

    id: str
    epoch: int = 0
    state: InstanceState = InstanceState.SCHEDULED
    why: str = ""
    ready: bool = False
    address: str = ""
    port: int = 0
    restarts: int = 0
    last_exit: str = ""
    started_at: datetime | None = None
    ready_at: datetime | None = None
    gone: bool = False
    spec_hash: str = ""
    # What is wrong with it; None when nothing is.
    cause: Cause | None = None
    # While something is transferred for it.
    progress: Progress | None = None
    # How often its owner had asked for a soft restart when its program was started.
    run: int = 0
    # Connections to its port that are open while it waits for them to end.
    connections: int = 0
    # How long each phase of its start took, once it was ready in this run.
    phases: tuple[StartPhase, ...] = ()


class Board:
    """Statuses by id. Only what differs from the last status counts as a change."""

    def __init__(self) -> None:
        self._statuses: dict[str, Status] = {}
        self._changed: dict[str, Status] = {}
        self._wake = asyncio.Event()

    def get(self, instance: str) -> Status:
        return self._statuses.get(instance) or Status(instance)

    def put(self, status: Status) -> None:
        if self._statuses.get(status.id) != status:
            self._statuses[status.id] = self._changed[status.id] = status
            self._wake.set()

    def put_gone(self, instance: str, epoch: int) -> None:
        """Nothing of it is left; told again each time, since the one who asked may not have heard."""
        status = replace(
            self.get(instance), epoch=epoch, ready=False, gone=True, state=InstanceState.TERMINATING
        )
        self._statuses.pop(instance, None)
        self._changed[instance] = status
        self._wake.set()

    def all(self) -> list[Status]:
        """Every status, as a level; what changed before counts as told by it."""
        self._changed.clear()
        return list(self._statuses.values())

    def instances(self) -> set[str]:
        """The ids of those that have a status."""
        return set(self._statuses)

    def ports(self) -> set[int]:
        """The ports that instances listen on."""
        return {status.port for status in self._statuses.values() if status.port}

    async def changes(self) -> Iterable[Status]:
        """Waits until something changed, and hands it out once."""
        while not self._changed:
            self._wake.clear()
            await self._wake.wait()
        changed, self._changed = self._changed, {}
        return changed.values()
