"""One node's storage to try things on: instances that mount one source, and agents that come and go."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from libs.domain.states import InstanceState
from services.agent.mounts import Mount, MountKind
from services.agent.storage.node_storage import NodeStorage, StorageSettings
from services.agent.storage.sources import GitSource, StoreSource
from services.agent.workload import Workload

ROOT = Path(__file__).parents[2]
_FETCH = """
import asyncio, json, sys
from pathlib import Path
from tests.support.storage_stage import Node
from services.agent.storage.sources import StoreSource
node = Node(Path(sys.argv[1]))
asyncio.run(node.ensure(sys.argv[2], StoreSource(**json.loads(sys.argv[3]))))
"""


class Told:
    """A `Phase` that keeps what it is told."""

    def __init__(self) -> None:
        self.phases: list[tuple[InstanceState, str]] = []
        self.bytes: list[tuple[str, int, int]] = []
        self.moves = 0

    def __call__(self, state: InstanceState, why: str) -> None:
        self.phases.append((state, why))

    def progress(self, what: str, done_bytes: int, total_bytes: int = 0) -> None:
        self.bytes.append((what, done_bytes, total_bytes))

    def moved(self) -> None:
        self.moves += 1


@dataclass
class Node:
    """A host with one agent. `settings` are those of its storage."""

    directory: Path
    agent: str = "agent"
    settings: dict[str, Any] = field(default_factory=dict)
    storage: NodeStorage = field(init=False)

    def __post_init__(self) -> None:
        self.storage = NodeStorage(
            StorageSettings(self.directory / self.agent / "mounts", self.directory / "cache", **self.settings)
        )

    def restart(self) -> None:
        """The agent ends, and another one begins with what is on the disk."""
        self.storage.close()
        self.storage = Node(self.directory, self.agent, self.settings).storage

    def place(self, instance: str) -> Path:
        """The host's directory behind the mount of an instance."""
        return self.directory / self.agent / "mounts" / instance / "0"

    def mount(self, instance: str, origin: StoreSource | GitSource, *, read_only: bool = True) -> Mount:
        return Mount("/mnt/data", MountKind.BIND, str(self.place(instance)), read_only, origin=origin)

    async def ensure(
        self,
        instance: str,
        origin: StoreSource | GitSource,
        *,
        read_only: bool = True,
        told: Told | None = None,
    ) -> Path:
        """What an instance finds at its mount."""
        mount = self.mount(instance, origin, read_only=read_only)
        workload = Workload(instance, "digits", 1, 1, "hash", mounts=(mount,))
        await self.storage.ensure(workload, told or Told())
        return self.place(instance)

    def cached(self) -> list[Path]:
        """The files that are kept, largest first."""
        blobs = (self.directory / "cache" / "blobs").iterdir()
        return sorted(blobs, key=lambda path: path.stat().st_size, reverse=True)

    def journalled(self) -> int:
        """How many pieces a fetch that is under way has written down."""
        journals = (self.directory / "cache" / "parts").glob("*.journal")
        return sum(len(path.read_bytes().splitlines()) for path in journals)

    @contextmanager
    def fetching_apart(self, instance: str, source: StoreSource) -> Iterator["subprocess.Popen[bytes]"]:
        """An agent in a process of its own that fetches, to be killed."""
        words = [sys.executable, "-c", _FETCH, str(self.directory), instance, json.dumps(asdict(source))]
        path = {"PYTHONPATH": f"{ROOT}:{ROOT / 'proto'}", "PATH": "/usr/bin:/bin"}
        with subprocess.Popen(words, cwd=ROOT, env=path) as process:
            try:
                yield process
            finally:
                process.kill()
