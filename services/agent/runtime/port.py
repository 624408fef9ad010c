"""What the agent needs of whatever runs instances."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from socket import socket
from typing import ClassVar, Protocol

from libs.domain.causes import Cause
from libs.domain.errors import EaselError
from libs.domain.states import InstanceState
from libs.domain.states import Runtime as RuntimeName
from services.agent.workload import Workload

_LEAST_WORK = 10


@dataclass(frozen=True)
class Exit:
    """How the program of an instance ended, and `why` in words, such as "exited with code 3"."""

    why: str
    at: datetime
    code: int | None = None
    signal: int | None = None
    out_of_memory: bool = False
    cause: Cause = Cause.EXITED


@dataclass(frozen=True)
class Finding:
    """What is wrong with an instance: the word for it, and the sentence of the case at hand."""

    cause: Cause
    why: str


@dataclass(frozen=True)
class Executed:
    """How a command inside an instance ended. `code` is None when it did not end in its time."""

    code: int | None
    output: str = ""


@dataclass(frozen=True)
class Activity:
    """What a program has done: milliseconds of CPU and KiB read and written, and the end of its log."""

    work: int
    said: str = ""

    def moved_since(self, before: "Activity") -> bool:
        """Whether that is a sign of life. What merely waits also computes a little."""
        return self.said != before.said or abs(self.work - before.work) >= _LEAST_WORK


@dataclass(frozen=True)
class Use:
    """What an instance uses. CPU time counts from the start of its run and never falls while it lasts.

    `connections` are those to its port; None where they cannot be seen.
    """

    cpu_seconds: float
    memory_bytes: int
    connections: int | None = None


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
    # How often its owner had asked for a soft restart when it was started.
    run: int = 0


class InstanceTrouble(EaselError):
    """A refusal that keeps an instance from its work, with the word for it beside the sentence."""

    usually: ClassVar[Cause] = Cause.START_FAILED

    def __init__(self, why: str, cause: Cause | None = None) -> None:
        super().__init__(why)
        self.cause = cause or self.usually


class PullFailed(InstanceTrouble):
    """The image could not be had; the registry's own words are in the sentence."""

    usually = Cause.PULL_FAILED


class PrepareFailed(InstanceTrouble):
    """The requirements could not be installed, or a mount is not there."""

    usually = Cause.PREPARE_FAILED


class StartFailed(InstanceTrouble):
    """The program could not be started."""


class WarmUpFailed(InstanceTrouble):
    """A request of the warm-up was not answered as it must be."""

    usually = Cause.WARM_UP_FAILED


class Told(Protocol):
    """Hears how far a transfer is; see `Phase.progress`."""

    def __call__(self, what: str, done_bytes: int, total_bytes: int = 0, /) -> None: ...


class Phase(Protocol):
    """Where those who prepare an instance say what they do and how far they are. Any thread may call it.

    Each call is a sign of life; without one for long, the preparation counts as stalled and is cancelled.
    """

    def __call__(self, state: InstanceState, why: str) -> None:
        """What is done now: PULLING or PREPARING. `why` has no number that changes."""
        ...

    def progress(self, what: str, done_bytes: int, total_bytes: int = 0) -> None:
        """How far a transfer is, as often as there is news; told once a second, with its rate.

        `what` is such as "image python:3.11-slim". No sign of life when nothing moved since the last call.
        """
        ...

    def moved(self) -> None:
        """Something went forward that has no number, such as a line of an installer."""
        ...


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

    async def ensure_ended(self, instance: str, grace: timedelta, sigterm: bool) -> None:
        """Ends it like `ensure_absent`, and keeps its files, for a new run."""
        ...

    async def listening(self, running: Running) -> bool:
        """Whether its port takes connections. Raises TimeoutError when it neither accepts nor refuses."""
        ...

    async def explain(self, running: Running) -> Finding | None:
        """Why nobody reaches its port though it runs; None when nothing can be said."""
        ...

    async def connections(self, running: Running) -> int | None:
        """How many connections to its port are open; None when that cannot be seen from here."""
        ...

    async def execute(self, running: Running, command: Sequence[str], within: timedelta) -> Executed:
        """Runs a command where its program runs, killed with its children after `within`.

        Raises Unavailable when nothing can be run now, whatever the command.
        """
        ...

    async def reach(self, running: Running, port: int) -> tuple[str, int]:
        """Where a port of its program that is not the declared one is found."""
        ...

    async def activity(self, running: Running) -> Activity | None:
        """What its program has done so far; None when that cannot be seen."""
        ...

    async def usage(self, running: Sequence[Running]) -> Mapping[str, Use]:
        """What each of these uses by now, by its id, at a cost that allows for one look a second.

        What cannot be seen is left out. Raises Unavailable when nothing can be.
        """
        ...

    async def node_address(self) -> str:
        """Under which its programs reach this node. Raises Unavailable."""
        ...

    async def open_loopback(self, running: Running, port: int) -> Sequence[socket]:
        """Sockets that listen at `port` of the loopback that its program alone sees.

        None where it shares that of the node, or where the agent cannot get there.
        """
        ...

    async def owner_of(self, peer: tuple[str, int], port: int, among: Sequence[Running]) -> str | None:
        """Which of these has the connection from `peer` to `port` of the node's loopback; None for no one."""
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

    async def ensure_image(self, image: str, login: tuple[str, str] | None, told: Told) -> None:
        """Has the image on the node. Raises PullFailed, Unavailable."""
        ...

    async def tidy(self) -> None:
        """Removes what instances shared and none has used for a while. Raises Unavailable."""
        ...

    async def remove_shared(self) -> None:
        """Removes what instances shared outside the data directory and none uses now. Raises Unavailable."""
        ...

    async def read(self, workload: Workload, path: str, longest: int) -> bytes:
        """A file as the program of a running instance sees it. Raises OSError, Unavailable."""
        ...

    async def close(self) -> None:
        """Lets go of the engine. What runs keeps running."""
        ...
