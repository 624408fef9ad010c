"""Steady requests in the background, and what became of each."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import httpx

from tests.support.waiting import until


class Load:
    """What a steady load has seen so far: how many answers, from which runs, and every failure in words."""

    def __init__(self) -> None:
        self.answered = 0
        self.runs: set[str] = set()
        self.failures: list[str] = []
        self._lock = threading.Lock()

    def saw(self, response: httpx.Response) -> None:
        with self._lock:
            if response.status_code == 200:
                self.answered += 1
                self.runs.add(response.json()["run"])
            else:
                self.failures.append(f"status {response.status_code}: {response.text[:200]}")

    def failed(self, error: Exception) -> None:
        with self._lock:
            self.failures.append(f"{type(error).__name__}: {error}")

    async def more(self, count: int = 100, within: float = 20.0) -> None:
        """Returns once `count` more requests were answered since the call, or one has failed."""
        goal = self.answered + count
        await until(lambda: self.answered >= goal or self.failures, f"{count} more answers", within)


@contextmanager
def steady_load(url: str, headers: Mapping[str, str], clients: int = 2) -> Iterator[Load]:
    """Calls the echo program at `url` without a pause from `clients` connections while the block runs."""
    load, stop = Load(), threading.Event()

    def call() -> None:
        with httpx.Client(headers=dict(headers), timeout=20) as http:
            while not stop.is_set():
                try:
                    load.saw(http.get(url))
                except httpx.HTTPError as error:
                    load.failed(error)

    threads = [threading.Thread(target=call, daemon=True) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield load
    finally:
        stop.set()
        for thread in threads:
            thread.join(timeout=30)
