"""Images from their registries: how far a pull is, what a refusal means, and one pull for all who wait."""

import asyncio
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeAlias

import requests
from docker.auth import encode_header
from docker.errors import ImageNotFound
from docker.types import CancellableStream
from docker.utils import parse_repository_tag

from libs.domain.causes import Cause
from services.agent.runtime.docker_engine import Engine, EngineNotFound
from services.agent.runtime.port import PullFailed, Told
from services.agent.runtime.threads import in_own_thread

Login: TypeAlias = tuple[str, str] | None
# What is done, and bytes done of bytes in total.
Amounts: TypeAlias = tuple[str, int, int]

IF_NOT_PRESENT, ALWAYS, NEVER = "IfNotPresent", "Always", "Never"
_TOLD_EVERY = 0.5
_ANSWERS_WITHIN = 60.0
# Words of engines and registries, the first that is found counts.
_MEANINGS = (
    (("no space left",), Cause.NO_SPACE),
    (
        ("manifest unknown", "name unknown", "not found", "does not exist", "invalid reference"),
        Cause.IMAGE_NOT_FOUND,
    ),
    (
        ("unauthorized", "no basic auth credentials", "denied", "authentication required", "forbidden"),
        Cause.IMAGE_ACCESS_DENIED,
    ),
    (
        (
            "dial tcp",
            "connection refused",
            "connection reset",
            "no such host",
            "timeout",
            "deadline exceeded",
            "tls:",
            "x509",
            "http response to https client",
            "eof",
            "proxyconnect",
            "unavailable",
            "bad gateway",
        ),
        Cause.REGISTRY_UNREACHABLE,
    ),
)


def refusal_of(image: str, said: str) -> PullFailed:
    """Why an image could not be had, from the words of the engine or the registry."""
    words = said.lower()
    found = (cause for marks, cause in _MEANINGS if any(mark in words for mark in marks))
    return PullFailed(f"{image} could not be pulled: {said}", next(found, Cause.PULL_FAILED))


@dataclass
class PullProgress:
    """How far the layers of an image are, from the engine's lines."""

    image: str
    _downloads: dict[str, tuple[int, int]] = field(default_factory=dict)
    _unpacked: dict[str, tuple[int, int]] = field(default_factory=dict)

    def take(self, line: dict[str, Any]) -> None:
        """One line of the engine. Lines about anything else are passed over."""
        layer, detail = line.get("id", ""), line.get("progressDetail") or {}
        amounts = int(detail.get("current") or 0), int(detail.get("total") or 0)
        match line.get("status"):
            case "Downloading" if amounts[1]:
                self._downloads[layer] = amounts
            case "Download complete" if layer in self._downloads:
                self._downloads[layer] = (self._downloads[layer][1],) * 2
            case "Extracting" if amounts[1]:
                self._unpacked[layer] = amounts
            case "Pull complete" if layer in self._unpacked:
                self._unpacked[layer] = (self._unpacked[layer][1],) * 2

    @property
    def what(self) -> str:
        return f"image {self.image}" if self._is_loading else f"unpacked image {self.image}"

    @property
    def done(self) -> int:
        amounts = self._downloads if self._is_loading else self._unpacked
        return sum(done for done, _ in amounts.values())

    @property
    def total(self) -> int:
        return sum(total for _, total in self._downloads.values())

    @property
    def _is_loading(self) -> bool:
        return not self._unpacked or any(done < total for done, total in self._downloads.values())


@dataclass
class _Pull:
    """One pull under way, and who hears of it."""

    hears: list[Told]
    task: "asyncio.Task[None]"


class ImagePulls:
    """Pulls images of one engine. Whoever wants the same image with the same login shares one pull."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._under_way: dict[tuple[str, Login], _Pull] = {}
        self._turns: dict[str, asyncio.Lock] = {}

    async def ensure(self, image: str, login: Login, told: Told, policy: str = IF_NOT_PRESENT) -> None:
        """Has the image on the node, as new as the policy wants it. Raises PullFailed.

        Who is cancelled stops waiting; when nobody waits any more, the pull ends.
        """
        if policy != ALWAYS and await self.present(image):
            return
        if policy == NEVER:
            why = f"{image} is not on the node, and containers[0].image_pull_policy is Never"
            raise PullFailed(why, Cause.IMAGE_NOT_FOUND)
        pull = self._joined(image, login, policy, told)
        try:
            await asyncio.shield(pull.task)
        finally:
            pull.hears.remove(told)
            if not pull.hears:
                pull.task.cancel()

    async def present(self, image: str) -> bool:
        """Whether the image is on the node. Raises Unavailable."""
        try:
            await self._engine.ask(lambda api: api.inspect_image(image))
        except (ImageNotFound, EngineNotFound):
            return False
        return True

    def _joined(self, image: str, login: Login, policy: str, told: Told) -> _Pull:
        pull = self._under_way.get((image, login))
        if pull is None or not pull.hears:
            hears: list[Told] = []
            task = asyncio.create_task(self._in_turn(image, login, policy, hears))
            pull = self._under_way[image, login] = _Pull(hears, task)
            task.add_done_callback(partial(self._forget, (image, login)))
        pull.hears.append(told)
        return pull

    def _forget(self, key: tuple[str, Login], task: "asyncio.Task[None]") -> None:
        pull = self._under_way.get(key)
        if pull is not None and pull.task is task:
            del self._under_way[key]
        if not task.cancelled():
            # Retrieved here: those who waited may all have been cancelled.
            task.exception()

    async def _in_turn(self, image: str, login: Login, policy: str, hears: list[Told]) -> None:
        """Another login may just have brought the image."""
        async with self._turns.setdefault(image, asyncio.Lock()):
            if policy == ALWAYS or not await self.present(image):
                await self._pull(image, login, hears)

    async def _pull(self, image: str, login: Login, hears: list[Told]) -> None:
        seen = _Seen((PullProgress(image).what, 0, 0))
        reading = asyncio.ensure_future(in_own_thread(partial(self._read, image, login, seen)))
        told: Amounts | None = None
        try:
            while not reading.done():
                if seen.amounts != told:
                    told = seen.amounts
                    for hears_of_it in tuple(hears):
                        hears_of_it(*told)
                await asyncio.wait([reading], timeout=_TOLD_EVERY)
            reading.result()
        finally:
            seen.given_up.set()
            reading.cancel()
            if seen.stream is not None:
                self._engine.end(seen.stream)

    def _read(self, image: str, login: Login, seen: "_Seen") -> None:
        """Blocks until the engine says that it is over. Raises PullFailed, Unavailable."""
        seen.stream = self._engine.dial(partial(_opened, image, login))
        self._engine.hold(seen.stream)
        if seen.given_up.is_set():
            self._engine.end(seen.stream)
        progress = PullProgress(image)
        for line in self._engine.items(seen.stream):
            if "error" in line:
                raise refusal_of(image, str(line["error"]))
            progress.take(line)
            seen.amounts = progress.what, progress.done, progress.total


@dataclass
class _Seen:
    """What the thread that reads a pull has seen so far."""

    amounts: Amounts
    stream: Any = None
    given_up: threading.Event = field(default_factory=threading.Event)


def _opened(image: str, login: Login, api: Any) -> CancellableStream:
    """The engine's lines about a pull that begins now; to be closed from any thread. Raises PullFailed."""
    repository, tag = parse_repository_tag(image)
    headers = {}
    if login is not None:
        headers["X-Registry-Auth"] = encode_header({"username": login[0], "password": login[1]}).decode()
    response = api.post(
        f"{api.base_url}/v{api.api_version}/images/create",
        params={"fromImage": repository, "tag": tag or "latest"},
        headers=headers,
        stream=True,
        timeout=(_ANSWERS_WITHIN, None),
    )
    if not response.ok:
        with response:
            raise refusal_of(image, _message(response))
    return CancellableStream(_lines(response), response)


def _message(response: requests.Response) -> str:
    try:
        return str(response.json()["message"])
    except (ValueError, KeyError):
        return response.text.strip() or f"the engine answered {response.status_code}"


def _lines(response: requests.Response) -> Iterator[dict[str, Any]]:
    unread = b""
    for part in response.iter_content(chunk_size=None):
        *whole, unread = (unread + part).split(b"\n")
        yield from (json.loads(line) for line in whole if line.strip())
