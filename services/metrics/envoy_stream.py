"""What Envoys push: each keeps a stream open and says on it, every second, all that it counted."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import grpc

from easel.envoy.v1 import envoy_metrics_pb2 as pb
from services.metrics.envoy_source import EnvoyLife, Remembered, may_come_back, same_life
from services.metrics.filing import file
from services.metrics.store import Store
from services.metrics.totals import Key

log = logging.getLogger(__name__)

ENVOY_SERVICE = "envoy.service.metrics.v3.MetricsService"
# A message comes in parts; it is whole when none came for so long, and is not waited for longer than that.
_QUIET_S, _WHOLE_WITHIN_S = 0.05, 0.5
# The stream of an Envoy that is heard of this often is alive: another of its name is another Envoy.
_ALIVE_S = 1.5


@dataclass(eq=False)
class _Stream:
    """One stream: a life, and the part of a message that has come so far."""

    life: EnvoyLife
    began: float | None = None
    known: bool = False
    settling: asyncio.TimerHandle | None = field(default=None, repr=False)


class EnvoyStreams:
    """Takes the streams of Envoys into the store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._streams: set[_Stream] = set()
        self._lives: list[Remembered] = []
        # CPU time spent on taking messages in.
        self.spent_s = 0.0

    def __len__(self) -> int:
        return len(self._streams)

    def register(self, server: Any) -> None:
        """Adds the contract to a server."""
        handler = grpc.stream_unary_rpc_method_handler(
            self.stream,
            request_deserializer=pb.StreamMetricsMessage.FromString,
            response_serializer=pb.StreamMetricsResponse.SerializeToString,
        )
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(ENVOY_SERVICE, {"StreamMetrics": handler}),)
        )

    async def stream(
        self, messages: AsyncIterator[pb.StreamMetricsMessage], _context: Any
    ) -> pb.StreamMetricsResponse:
        """Takes messages until the Envoy ends or metrics does."""
        stream: _Stream | None = None
        try:
            async for message in messages:
                if stream is None:
                    node = message.identifier.node
                    # Where a gateway started it: "easel/", and a word of this start alone.
                    stream = _Stream(EnvoyLife(node.id or "envoy", node.cluster.partition("/")[2]))
                    self._streams.add(stream)
                self._read(stream, message)
        finally:
            if stream is not None:
                self._end(stream)
        return pb.StreamMetricsResponse()

    def lives(self) -> list[Remembered]:
        """What to keep of every life over a restart."""
        return [*self._lives, *(stream.life.remembered() for stream in self._streams if stream.known)]

    def remember(self, lives: list[Remembered]) -> None:
        """Takes what was kept of lives before the start."""
        self._lives = lives

    def uptimes(self) -> dict[str, float]:
        """For how long the Envoys of each gateway run, of several the youngest."""
        now, found = self._store.now(), dict[str, float]()
        for stream in self._streams:
            if stream.known:
                gateway, uptime = stream.life.gateway, now - stream.life.started_at
                found[gateway] = min(uptime, found.get(gateway, uptime))
        return found

    def in_flight(self) -> dict[Key, float]:
        """How many requests each cluster works on, by gateway."""
        found: dict[Key, float] = {}
        for stream in self._streams:
            for key, number in stream.life.in_flight():
                found[key] = found.get(key, 0.0) + number
        return found

    def _read(self, stream: _Stream, message: pb.StreamMetricsMessage) -> None:
        spent = time.thread_time()
        now = self._store.now()
        if stream.began is None:
            stream.began = now
        stream.life.read(message.envoy_metrics)
        self.spent_s += time.thread_time() - spent
        if stream.settling is not None:
            stream.settling.cancel()
        wait = max(0.0, min(_QUIET_S, stream.began + _WHOLE_WITHIN_S - now))
        stream.settling = asyncio.get_running_loop().call_later(wait, self._settle, stream)

    def _settle(self, stream: _Stream) -> None:
        stream.settling = None
        at, life = stream.began, stream.life
        # What it counted cannot be told from what is in the totals before it said since when it runs.
        if at is None or (not stream.known and life.uptime is None):
            return
        spent = time.thread_time()
        if not stream.known:
            self._recognise(stream, at)
        stream.began = None
        file(self._store, life.gateway, life.settle(self._store.totals, at))
        self._store.envoys[life.node, life.started_at] = at
        self.spent_s += time.thread_time() - spent

    def _recognise(self, stream: _Stream, at: float) -> None:
        life = stream.life
        for other in [each for each in self._streams if each is not stream and each.known]:
            # One that was cut without notice, and has come again before that was seen.
            same = other.life.node == life.node and other.life.word == life.word
            if same and (life.word or other.life.heard_at < at - _ALIVE_S):
                self._end(other)
        self._lives = may_come_back(self._lives, at)
        before = same_life(self._lives, life, at)
        life.begin(at)
        if before is not None:
            self._lives = [each for each in self._lives if each is not before]
            life.continue_from(before, at)
        stream.known = True
        why = "it goes on" if before is not None else "it is new"
        log.info("an Envoy tells its numbers", extra={"envoy": life.node, "why": why})

    def _end(self, stream: _Stream) -> None:
        if stream not in self._streams:
            return
        if stream.settling is not None:
            stream.settling.cancel()
            self._settle(stream)
        self._streams.discard(stream)
        if stream.known:
            self._lives.append(stream.life.remembered())
            self._store.envoys.pop((stream.life.node, stream.life.started_at), None)
            log.info("an Envoy tells no more", extra={"envoy": stream.life.node})
