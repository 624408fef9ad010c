"""Log output on its way from an agent to a reader, bounded: a slow reader must not fill the memory."""

import asyncio
from collections import deque

from easel.agent.v1 import agent_pb2

MOST_BYTES = 16 << 20


class LogInbox:
    """Chunks in order. When more than `most_bytes` wait the oldest are skipped, and the reader is told."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._chunks: deque[agent_pb2.LogChunk] = deque()
        self._bytes = self._skipped = 0
        self._filled = asyncio.Event()

    def put(self, chunk: agent_pb2.LogChunk) -> None:
        self._chunks.append(chunk)
        self._bytes += len(chunk.text)
        while self._bytes > self._most_bytes and len(self._chunks) > 1:
            oldest = len(self._chunks.popleft().text)
            self._bytes -= oldest
            self._skipped += oldest
        self._filled.set()

    async def next(self) -> agent_pb2.LogChunk:
        """The oldest chunk; waits for one."""
        while not self._chunks:
            self._filled.clear()
            await self._filled.wait()
        if self._skipped:
            skipped, self._skipped = self._skipped, 0
            return agent_pb2.LogChunk(text=f"\n[{skipped} bytes were skipped here]\n".encode())
        chunk = self._chunks.popleft()
        self._bytes -= len(chunk.text)
        return chunk
