"""A real runtime to try things on, and workloads that say only what matters."""

import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from libs.domain.states import InstanceState
from services.agent.runtime.port import Attempt, Running, Runtime
from services.agent.workload import Workload
from tests.support.waiting import until

SERVER = (
    "exec python3 -c 'import http.server, os; "
    'http.server.ThreadingHTTPServer(("", int(os.environ["PORT"])), '
    "http.server.SimpleHTTPRequestHandler).serve_forever()'"
)

_FIRST = Attempt()


@dataclass
class Stage:
    """One node. `reopen` is the runtime of an agent that was restarted on it."""

    open: Callable[[], Runtime]
    image: str
    prefix: str
    runtime: Runtime = field(init=False)

    def __post_init__(self) -> None:
        self.runtime = self.open()

    async def reopen(self) -> None:
        await self.runtime.close()
        self.runtime = self.open()

    def a_workload(self, name: str = "a", **changes: Any) -> Workload:
        base = Workload(
            id=f"{self.prefix}-{name}",
            service="digits",
            version=1,
            epoch=1,
            spec_hash="hash",
            image=self.image,
            script=SERVER,
            port=8000,
            memory_mib=128,
            cpu_milli=500,
            grace=timedelta(seconds=5),
        )
        return replace(base, **changes)

    async def start(self, workload: Workload, attempt: Attempt = _FIRST) -> Running:
        await self.runtime.prepare(workload, Silent())
        return await self.runtime.ensure_running(workload, attempt)

    async def find(self, workload: Workload) -> Running | None:
        found = await self.runtime.instances()
        return next((running for running in found if running.id == workload.id), None)

    async def ended(self, workload: Workload) -> Running:
        async def look() -> Running | None:
            running = await self.find(workload)
            return running if running is not None and running.exit is not None else None

        running = await until(look, f"{workload.id} to end")
        assert running is not None
        return running

    async def listening(self, running: Running) -> None:
        async def look() -> bool:
            with contextlib.suppress(TimeoutError):
                return await self.runtime.listening(running)
            return False

        await until(look, f"{running.id} to listen")

    async def log(self, workload: Workload, tail: int = 0) -> str:
        return b"".join([text async for text in self.runtime.logs(workload.id, tail, False)]).decode()

    async def logged(self, workload: Workload, text: str) -> None:
        async def look() -> bool:
            return text in await self.log(workload)

        await until(look, f"{text!r} in the log of {workload.id}")

    async def clean(self) -> None:
        for running in await self.runtime.instances():
            if running.id.startswith(self.prefix):
                await self.runtime.ensure_absent(running.id, timedelta(0), False)
        await self.runtime.close()


class Silent:
    """A `Phase` that tells nobody."""

    def __call__(self, state: InstanceState, why: str) -> None: ...

    def progress(self, what: str, done_bytes: int, total_bytes: int = 0) -> None: ...

    def moved(self) -> None: ...


async def first_exit(runtime: Runtime, instance: str) -> None:
    """Waits for the runtime to say that this instance ended."""
    exits: AsyncIterator[str] = runtime.exits()
    async for ended in exits:
        if ended == instance:
            return
