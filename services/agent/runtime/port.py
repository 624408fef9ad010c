"""What the agent needs of whatever runs instances."""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol, TypeAlias

from libs.domain.causes import Cause
from libs.domain.errors import EaselError
from libs.domain.states import InstanceState
from libs.domain.states import Runtime as RuntimeName
from services.agent.workload import Workload


@dataclass(frozen=True)
class Exit:
    """How the program of an instance ended, and `why` in words, such as "exited with code 3"."""

    why: str
    at: datetime
    code: int | None = None
    signal: int | None = None
    out_of_memory: bool = False


@dataclass(frozen=True)
class Attempt:
    """Which run of the instance this is. `streak` counts the failures since it was last healthy."""

    restarts: int = 0
    streak: int = 0


@dataclass(frozen=True)
class Running:
    """What a runtime knows of one instance, also to a restarted agent. `exit` is None while it runs."""

    id: str
    service: str
    version: int
    epoch: int
    spec_hash: str
    attempt: Attempt
    address: str
    port: int
    started_at: datetime
    gpu_uuids: tuple[str, ...] = ()
    exit: Exit | None = None
    # Whether it has a port that must listen before it is ready.
    listens: bool = True
    # What it does until it is ready.
    phase: InstanceState = InstanceState.STARTING
    # How it is to be ended, should nobody remember its service.json.
    grace: timedelta = timedelta(seconds=30)
    sigterm: bool = True


class PullFailed(EaselError):
    """The image could not be had; the registry's own words are in the sentence."""

    def __init__(self, why: str, cause: Cause = Cause.PULL_FAILED) -> None:
        super().__init__(why)
        self.cause = cause


class PrepareFailed(EaselError):
    """The requirements could not be installed, or a mount is not there."""

    def __init__(self, why: str, cause: Cause = Cause.PREPARE_FAILED) -> None:
        super().__init__(why)
        self.cause = cause


class StartFailed(EaselError):
    """The program could not be started."""

    def __init__(self, why: str, cause: Cause = Cause.START_FAILED) -> None:
        super().__init__(why)
        self.cause = cause


Phase: TypeAlias = Callable[[InstanceState, str], None]


class Runtime(Protocol):
    """Runs instances and remembers them: a new one on the same node adopts what the old one started.

    Every `ensure_…` may be repeated. Cancelling one leaves nothing that `instances` does not show.
    """

    name: RuntimeName

    async def instances(self) -> Sequence[Running]:
        """Everything there is of this node's instances, alive or ended. Raises Unavailable."""
        ...

    async def prepare(self, workload: Workload, phase: Phase) -> None:
        """Gets the image and what the program needs, telling each phase. Raises PullFailed, PrepareFailed."""
        ...

    async def ensure_running(self, workload: Workload, attempt: Attempt) -> Running:
        """Starts it unless it runs; an ended run is replaced. Raises StartFailed, Unavailable."""
        ...

    async def ensure_absent(self, instance: str, grace: timedelta, sigterm: bool) -> None:
        """Ends it with its whole process tree and removes what is left, within `grace` and a few seconds.

        With `sigterm` the program has the grace period from SIGTERM on; without, a second.
        """
        ...

    async def listening(self, running: Running) -> bool:
        """Whether its port takes connections. Raises TimeoutError when it neither accepts nor refuses."""
        ...

    async def explain(self, running: Running) -> str:
        """Why its port may not be listening though it runs; empty when nothing can be said."""
        ...

    def logs(self, instance: str, tail: int, follow: bool) -> AsyncIterator[bytes]:
        """Output of the newest run, the last `tail` lines first (0 for all that is kept).

        Following ends when that run has ended. Raises NotFound.
        """
        ...

    def exits(self) -> AsyncIterator[str]:
        """The id of each instance as it ends, at once; an empty id when some may have been missed."""
        ...

    async def images(self) -> Sequence[str]:
        """Names of the images present."""
        ...

    async def close(self) -> None:
        """Lets go of the engine. What runs keeps running."""
        ...
