"""Sends the digits images to a service over a few connections, and counts what comes back."""

import asyncio
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import cycle

import httpx

DEADLINE_S = 10.0


@dataclass(frozen=True)
class Target:
    """A digits service: its URL, its token, and images with the digits that are on them."""

    url: str
    token: str
    images: Sequence[Sequence[float]]
    labels: Sequence[int]


@dataclass
class Result:
    """What came back so far. Latencies in seconds, of good answers only."""

    right: int = 0
    latencies: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def requests(self) -> int:
        return len(self.latencies) + len(self.failures)

    @property
    def accuracy(self) -> float:
        return self.right / max(1, len(self.latencies))

    def quantile(self, share: float) -> float:
        ordered = sorted(self.latencies) or [0.0]
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


class Load:
    """A number of connections, each with one request in flight."""

    def __init__(self, target: Target, connections: int) -> None:
        self._target, self._connections = target, connections
        self._stopping = False
        self._progress = asyncio.Condition()
        self.result = Result()

    async def once(self) -> Result:
        """Sends every image once."""
        return await self._run(iter(range(len(self._target.images))))

    async def until_stopped(self) -> Result:
        """Sends images round and round until `stop`."""
        return await self._run(cycle(range(len(self._target.images))))

    def stop(self) -> None:
        self._stopping = True

    async def answered(self, requests: int, within: float = 30.0) -> None:
        """Waits until that many requests have an outcome."""
        async with asyncio.timeout(within), self._progress:
            await self._progress.wait_for(lambda: self.result.requests >= requests)

    async def _run(self, indices: Iterator[int]) -> Result:
        began = time.perf_counter()
        headers = {"Authorization": self._target.token, "Content-Type": "application/json"}
        async with (
            httpx.AsyncClient(headers=headers, timeout=DEADLINE_S) as http,
            asyncio.TaskGroup() as all_,
        ):
            for _ in range(self._connections):
                all_.create_task(self._connection(http, indices))
        self.result.seconds = time.perf_counter() - began
        return self.result

    async def _connection(self, http: httpx.AsyncClient, indices: Iterator[int]) -> None:
        for index in indices:
            if self._stopping:
                return
            await self._send(http, index)
            async with self._progress:
                self._progress.notify_all()

    async def _send(self, http: httpx.AsyncClient, index: int) -> None:
        body = json.dumps({"instances": [self._target.images[index]]})
        began = time.perf_counter()
        try:
            answer = await http.post(self._target.url, content=body)
        except httpx.TransportError as error:
            self.result.failures.append(type(error).__name__)
            return
        if answer.status_code != httpx.codes.OK:
            self.result.failures.append(f"{answer.status_code} {answer.text.strip()[:120]}")
            return
        self.result.latencies.append(time.perf_counter() - began)
        self.result.right += answer.json()["predictions"] == [self._target.labels[index]]
