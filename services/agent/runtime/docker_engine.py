"""The Docker Engine's API, each call in a thread and with a deadline. The SDK blocks and has no types."""

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

import docker
import requests
from docker.errors import APIError, DockerException
from docker.errors import NotFound as EngineNotFound

from libs.domain.errors import Unavailable
from services.agent.runtime.threads import in_own_thread

T = TypeVar("T")
CALL_WITHIN = 60

__all__ = ["APIError", "Engine", "EngineNotFound"]


class Engine:
    """One engine, dialled at first use and again after it was away."""

    def __init__(self, host: str) -> None:
        self._host, self._client, self._lock = host, None, threading.Lock()
        self._closed = threading.Event()
        self._streams: set[Any] = set()

    async def ask(self, call: Callable[[Any], T]) -> T:
        """What `call` gets from the SDK's low-level client. Raises Unavailable, EngineNotFound."""
        try:
            return await in_own_thread(partial(self._ask, call))
        except EngineNotFound:
            raise
        except APIError as refused:
            raise Unavailable(f"the Docker Engine refused: {refused.explanation or refused}") from refused

    async def tell(self, call: Callable[[Any], None]) -> None:
        """Like `ask`, for what the engine may refuse for a reason of the caller's: raises APIError then."""
        await in_own_thread(partial(self._ask, call))

    def dial(self, call: Callable[[Any], T]) -> T:
        """Like `tell`, for callers that are in a thread already."""
        return self._ask(call)

    def stream(self, call: Callable[[Any], Any]) -> Iterator[Any]:
        """Items of a stream that `close` ends; blocks. Raises Unavailable."""
        opened = self._ask(call)
        self.hold(opened)
        yield from self.items(opened)

    def hold(self, opened: Any) -> None:
        """Has `close` end this stream."""
        self._streams.add(opened)

    def items(self, opened: Any) -> Iterator[Any]:
        """What comes out of a held stream until it ends or is ended; blocks. Raises Unavailable."""
        try:
            yield from opened
        except (requests.RequestException, DockerException, OSError, ValueError, AttributeError) as broken:
            if opened in self._streams and not self._closed.is_set():
                raise Unavailable(f"the Docker Engine ended a stream: {broken}") from broken
        finally:
            self.end(opened)

    def end(self, opened: Any) -> None:
        """Ends a stream, whoever reads it. Safe to call twice."""
        self._streams.discard(opened)
        with suppress(Exception):
            opened.close()

    def close(self) -> None:
        """Ends every stream. Safe to call twice."""
        self._closed.set()
        for opened in list(self._streams):
            with suppress(Exception):
                opened.close()
        if self._client is not None:
            self._client.close()

    @property
    def closed(self) -> threading.Event:
        return self._closed

    def _ask(self, call: Callable[[Any], T]) -> T:
        try:
            return call(self._dialled())
        except (APIError, EngineNotFound):
            raise
        except (requests.RequestException, DockerException, OSError) as away:
            where = self._host or "its usual socket"
            raise Unavailable(f"the Docker Engine at {where} does not answer: {away}") from away

    def _dialled(self) -> Any:
        with self._lock:
            if self._client is None:
                host = self._host or None
                self._client = docker.APIClient(base_url=host, version="auto", timeout=CALL_WITHIN)
            return self._client
