"""The containers of a node's instances, as its engine lists them and as its events say sooner."""

import asyncio
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from typing import Any

from services.agent.runtime.docker_engine import Engine, EngineNotFound
from services.agent.runtime.docker_spec import INSTANCE, NODE, TELLING, exit_from, running_from
from services.agent.runtime.port import Exit, Running

log = logging.getLogger(__name__)

# What the engine calls a container that was made and not started yet.
_MADE = "created"


class Containers:
    """What runs and what ended of one node. Remembers only what spares it a question or a wrong answer."""

    def __init__(self, engine: Engine, node: str, address: str, network: str) -> None:
        self._engine, self._node, self._address, self._network = engine, node, address, network
        # The engine's id of the container of each instance.
        self._ids: dict[str, str] = {}
        self._inside: dict[str, tuple[str, int]] = {}
        self._died: set[str] = set()
        # The instances whose containers are being made and started right now.
        self._starting: set[str] = set()
        self._strange: set[str] = set()

    async def all(self) -> Sequence[Running]:
        """Every instance of this node that has a container."""
        label = f"{NODE}={self._node}"
        died = set(self._died)
        found = await self._engine.ask(lambda api: api.containers(all=True, filters={"label": [label]}))
        running = await asyncio.gather(*(self._running(container) for container in found))
        looked = {container["Id"]: each for container, each in zip(found, running, strict=True)}
        # Where a start was in the way, the list says nothing of how it went, and where its port is.
        made = {each["Id"]: each["Labels"].get(INSTANCE, "") for each in found if each["State"] == _MADE}
        while again := [each for each, instance in made.items() if instance not in self._starting]:
            for each in again:
                looked[each] = await self.find(made.pop(each))
        # Of those that the list shows as ended by now, or not at all, nothing more is to be remembered.
        self._died -= died - {container["Id"] for container in found if container["State"] != "exited"}
        return [each for each in looked.values() if each is not None]

    async def find(self, instance: str) -> Running | None:
        """The container of one instance; None when there is none."""
        label = f"{INSTANCE}={instance}"
        found = await self._engine.ask(lambda api: api.containers(all=True, filters={"label": [label]}))
        return await self._running(found[0]) if found else None

    def id_of(self, instance: str) -> str | None:
        """The engine's id of its container, once it was seen."""
        return self._ids.get(instance)

    def inside(self, instance: str) -> tuple[str, int] | None:
        """Its own address and declared port, once they were seen."""
        return self._inside.get(instance)

    def forget(self, instance: str) -> None:
        self._inside.pop(instance, None)
        self._ids.pop(instance, None)

    @contextmanager
    def starting(self, instance: str) -> Iterator[None]:
        """While its container is made and started, it is not taken for one that ended."""
        self._starting.add(instance)
        try:
            yield
        finally:
            self._starting.discard(instance)

    def heard_end(self, container: str) -> None:
        """The engine has told of the end of this container."""
        self._died.add(container)

    @property
    def remembered_ends(self) -> int:
        """How many ends were heard of that the engine's list has not shown yet."""
        return len(self._died)

    async def _running(self, container: Mapping[str, Any]) -> Running | None:
        """None for a container that vanished meanwhile, or whose labels are not Easel's."""
        try:
            return await self._facts(container)
        except EngineNotFound:
            return None
        except (KeyError, ValueError) as strange:
            if container["Id"] not in self._strange:
                self._strange.add(container["Id"])
                why = f"its labels are not Easel's: {strange!r}"
                log.warning("a container is left alone", extra={"container": container["Id"], "why": why})
            return None

    async def _facts(self, container: Mapping[str, Any]) -> Running:
        labels = container["Labels"]
        self._ids[labels[INSTANCE]] = container["Id"]
        ended = None
        # What is being started has not ended, whatever the engine says meanwhile. This is asked first: of a
        # start that is over by now the engine's answer is true.
        starting = container["State"] == _MADE and labels[INSTANCE] in self._starting
        # The engine tells of an end before its list shows it.
        looks_ended = container["State"] not in ("running", "paused") or container["Id"] in self._died
        if looks_ended and not starting:
            ended = await self._engine.ask(partial(_exit_of, container["Id"], labels))
        declared = int(labels["easel.port"])
        networks = (container.get("NetworkSettings") or {}).get("Networks") or {}
        inside = next((net["IPAddress"] for net in networks.values() if net.get("IPAddress")), "")
        if inside and declared:
            self._inside[labels[INSTANCE]] = (inside, declared)
        if self._network:
            return running_from(labels, inside, declared, ended)
        published = (port.get("PublicPort") for port in container.get("Ports") or ())
        return running_from(labels, self._address, next(filter(None, published), 0), ended)


def _exit_of(container: str, labels: Mapping[str, str], api: Any) -> Exit | None:
    """None for one that runs: the engine's list may be older."""
    state = api.inspect_container(container)["State"]
    if state["Running"]:
        return None
    last = api.logs(container, tail=5) if state["ExitCode"] in TELLING else b""
    lines = "; ".join(line.strip() for line in last.decode(errors="replace").splitlines() if line.strip())
    begun_at = datetime.fromisoformat(labels["easel.started"])
    return exit_from(state, int(labels["easel.memory"]), lines[-1000:], begun_at=begun_at)
