"""Requests that an instance is sent before it takes traffic: from a file, each five times.

The next one is sent after a success, or when two keepalives have passed without one.
"""

import asyncio
import importlib
import json
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from libs.domain.errors import EaselError
from services.agent.health.watch import WarmUpTold
from services.agent.runtime.port import InstanceTrouble, Running, Runtime, WarmUpFailed
from services.agent.runtime.threads import FILES_WITHIN, in_own_thread
from services.agent.runtime.venvs import content_of
from services.agent.storage.object_store import opened
from services.agent.storage.sources import StoreSource
from services.agent.workload import Workload

PASSES = 5
KEEPALIVES = 2
LONGEST = 64 << 20
_SHOWN = 200


@dataclass(frozen=True)
class Request:
    """One body to POST. `place` is where it is in its file, in words."""

    place: str
    body: bytes
    content_type: str


@dataclass(frozen=True)
class Answer:
    """What came of one request; `status` is 0 where no answer came."""

    status: int
    words: str

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300


def requests_of(path: str, content: bytes) -> tuple[Request, ...]:
    """The requests in a file: the whole of a .bin, each line of a .txt. Raises WarmUpFailed."""
    kind = PurePosixPath(path).suffix
    if kind == ".bin":
        return (Request(path, content, "application/octet-stream"),)
    if kind != ".txt":
        raise WarmUpFailed(f"warm_up_data_path: got {path}, expected a .bin or .txt file")
    lines = enumerate(content.splitlines(), start=1)
    found = tuple(Request(f"line {number} of {path}", line, _type_of(line)) for number, line in lines if line)
    if not found:
        raise WarmUpFailed(f"warm_up_data_path: there is no request in {path}")
    return found


async def play(
    requests: Sequence[Request],
    send: Callable[[Request], Awaitable[Answer]],
    patience: float,
    failing: Callable[[str], None] = lambda _: None,
) -> None:
    """Sends all of them, five times over. Raises WarmUpFailed when one had no success in the last pass.

    `failing` hears at once what failed and may yet be forgiven: one of the requests whose last answer was no
    success, in words; nothing when there is none.
    """
    failed: dict[Request, str] = {}
    for _ in range(PASSES):
        for request in requests:
            began = time.monotonic()
            answer = await _answer(request, send, patience)
            if answer.is_success:
                failed.pop(request, None)
            else:
                failed[request] = f"the warm-up request in {request.place} {answer.words}"
            failing(next(iter(failed.values()), ""))
            if not answer.is_success:
                await asyncio.sleep(max(0.0, began + patience - time.monotonic()))
    if failed:
        raise WarmUpFailed(next(iter(failed.values())))


class WarmUp:
    """Warms up running instances of one node."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    async def __call__(self, workload: Workload, running: Running, told: WarmUpTold) -> None:
        """Returns once all is answered with success. Raises WarmUpFailed."""
        path = workload.warm_up_path
        try:
            requests = requests_of(path, await self._content(workload))
        except WarmUpFailed:
            raise
        except InstanceTrouble as refused:
            raise WarmUpFailed(f"warm_up_data_path: {refused}", refused.cause) from refused
        except (EaselError, OSError) as refused:
            why = getattr(refused, "strerror", None) or str(refused) or "it does not answer"
            raise WarmUpFailed(f"warm_up_data_path: cannot read {path}: {why}") from refused
        told.doing(f"warming up with {path}")
        patience = KEEPALIVES * workload.keepalive.total_seconds()
        httpx: Any = await asyncio.to_thread(importlib.import_module, "httpx")
        async with httpx.AsyncClient(trust_env=False, timeout=None) as client:
            url = f"http://{running.address}:{running.port}{workload.base_path}"
            await play(requests, partial(_post, client, url, httpx.HTTPError), patience, told.failing)

    async def _content(self, workload: Workload) -> bytes:
        origin = workload.warm_up_origin
        if isinstance(origin, Path):
            return await asyncio.wait_for(in_own_thread(partial(content_of, origin, LONGEST)), FILES_WITHIN)
        if isinstance(origin, StoreSource):
            return await _stored(origin, PurePosixPath(workload.warm_up_path).name)
        return await self._runtime.read(workload, workload.warm_up_path, LONGEST)


async def _answer(request: Request, send: Callable[[Request], Awaitable[Answer]], patience: float) -> Answer:
    try:
        async with asyncio.timeout(patience):
            return await send(request)
    except TimeoutError:
        return Answer(0, f"was not answered within {patience:g} s")


async def _post(client: Any, url: str, broken: type[Exception], request: Request) -> Answer:
    headers = {"content-type": request.content_type}
    try:
        async with client.stream("POST", url, content=request.body, headers=headers) as response:
            status, said = response.status_code, b""
            # To its end, however long that is; only the beginning is kept.
            async for part in response.aiter_bytes():
                said += part[: 4 * _SHOWN - len(said)]
    except broken as error:
        return Answer(0, f"had no answer: {error or type(error).__name__}")
    words = " ".join(said.decode(errors="replace").split())[:_SHOWN]
    return Answer(status, f"was answered with {status}: {words}".rstrip(": "))


async def _stored(source: StoreSource, name: str) -> bytes:
    """One object of a store, which is listed by its directory. Raises PrepareFailed, OSError."""
    async with opened(source) as store:
        for found in await store.objects():
            if found.path == name:
                if found.size > LONGEST:
                    raise OSError(f"more than {LONGEST >> 20} MiB")
                piece = await store.piece(found, 0, found.size) if found.size else None
                return piece.content if piece is not None else b""
    raise FileNotFoundError("it is not in the bucket")


def _type_of(line: bytes) -> str:
    try:
        json.loads(line)
    except ValueError:
        return "application/octet-stream"
    return "application/json"
