"""The Docker Engine's API, each call in a thread and with a deadline. The SDK blocks and has no types."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

import docker
import requests
from docker.errors import APIError, DockerException, ImageNotFound
from docker.errors import NotFound as EngineNotFound
from docker.utils import parse_repository_tag

from libs.domain.errors import Unavailable
from services.agent.runtime.port import PullFailed
from services.agent.runtime.threads import in_own_thread

T = TypeVar("T")
CALL_WITHIN = 60
STALLED_AFTER = 300.0
_TOLD_EVERY = 1.0

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

    async def pull(
        self,
        image: str,
        login: tuple[str, str] | None,
        tell: Callable[[str], None],
        stalled_after: float = STALLED_AFTER,
    ) -> None:
        """Pulls unless the image is there, for as long as that makes progress.

        Raises PullFailed with the registry's words.
        """
        loop, given_up = asyncio.get_running_loop(), threading.Event()
        moved = time.monotonic()

        def told(text: str) -> None:
            nonlocal moved
            moved = time.monotonic()
            if text and not given_up.is_set():
                loop.call_soon_threadsafe(tell, text)

        pulling = asyncio.ensure_future(in_own_thread(lambda: self._pull(image, login, told, given_up)))
        try:
            while not (await asyncio.wait([pulling], timeout=stalled_after / 10))[0]:
                if time.monotonic() - moved > stalled_after:
                    raise PullFailed(f"{image} could not be pulled: no progress for {stalled_after:g} s")
            await pulling
        finally:
            given_up.set()
            pulling.cancel()

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

    def _pull(
        self,
        image: str,
        login: tuple[str, str] | None,
        tell: Callable[[str], None],
        given_up: threading.Event,
    ) -> None:
        try:
            self._ask(lambda api: api.inspect_image(image))
            return
        except (ImageNotFound, EngineNotFound):
            pass
        repository, tag = parse_repository_tag(image)
        auth = {"username": login[0], "password": login[1]} if login else None
        progress, told = _Progress(image), 0.0
        try:
            lines = self._ask(
                lambda api: api.pull(
                    repository, tag=tag or "latest", stream=True, decode=True, auth_config=auth
                )
            )
            for line in lines:
                if given_up.is_set():
                    return
                if "error" in line:
                    raise PullFailed(f"{image} could not be pulled: {line['error']}")
                progress.take(line)
                tell("")
                if time.monotonic() - told > _TOLD_EVERY:
                    told = time.monotonic()
                    tell(str(progress))
        except APIError as refused:
            raise PullFailed(f"{image} could not be pulled: {refused.explanation or refused}") from refused
        except requests.RequestException as broken:
            raise PullFailed(f"{image} could not be pulled: {broken}") from broken


class _Progress:
    """How far the layers of an image are."""

    def __init__(self, image: str) -> None:
        self._image = image
        self._layers: dict[str, tuple[int, int]] = {}

    def take(self, line: dict[str, Any]) -> None:
        detail = line.get("progressDetail") or {}
        if line.get("status") == "Downloading" and detail.get("total"):
            self._layers[line["id"]] = (detail["current"], detail["total"])

    def __str__(self) -> str:
        done = sum(current for current, _ in self._layers.values()) >> 20
        total = sum(size for _, size in self._layers.values()) >> 20
        return f"pulling {self._image}: {done} of {total} MiB" if total else f"pulling {self._image}"
