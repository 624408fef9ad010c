"""How fast a model comes from an object store to four instances of one node, and again from the cache.

Run as `python -m bench.storage [--quick] [--json FILE]`. The store is a process of its own on this machine.
In turn, the node's storage fetches a model for four instances at once, four more find it in the cache after a
restart of the agent, and s3fs alone gets the same model.
"""

import argparse
import asyncio
import hashlib
import json
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import s3fs

from bench.object_server import server
from services.agent.storage.sources import StoreSource
from tests.support.free_ports import free_port
from tests.support.storage_stage import Node

MIB = 1 << 20
INSTANCES = 4
_FILES = 4
_WITHIN_S = 60.0
_APART = multiprocessing.get_context("spawn")
Row = dict[str, Any]


@contextmanager
def store(directory: Path, mib: int) -> Iterator[StoreSource]:
    """A server in a process of its own, with one model of so many MiB in a few files."""
    (directory / "model").mkdir(parents=True)
    for number in range(_FILES):
        (directory / "model" / f"part-{number}.bin").write_bytes(os.urandom(mib // _FILES * MIB))
    port = free_port()
    process = _APART.Process(target=_serve, args=(directory, port))
    process.start()
    try:
        source = StoreSource("models", "model", f"http://127.0.0.1:{port}", "us-east-1", "", "key", "secret")
        _wait(port)
        yield source
    finally:
        process.kill()
        process.join()


def _serve(directory: Path, port: int) -> None:
    server(directory, port).serve_forever()


def _wait(port: int) -> None:
    """Until the server lists, by when it knows the digests of its files."""
    ends = time.monotonic() + _WITHIN_S
    while True:
        try:
            with urlopen(f"http://127.0.0.1:{port}/models?list-type=2", timeout=_WITHIN_S):
                return
        except OSError:
            if time.monotonic() > ends:
                raise
            time.sleep(0.05)


async def through_the_cache(directory: Path, source: StoreSource) -> tuple[float, float, str]:
    """Seconds until four instances have the model, and until four more have it from the cache; its digest."""
    node = Node(directory)
    began = time.perf_counter()
    places = await asyncio.gather(*(node.ensure(f"i-{number}", source) for number in range(INSTANCES)))
    fetched = time.perf_counter() - began
    node.restart()
    began = time.perf_counter()
    await asyncio.gather(*(node.ensure(f"j-{number}", source) for number in range(INSTANCES)))
    again = time.perf_counter() - began
    node.storage.close()
    return fetched, again, await asyncio.to_thread(_digest, places[-1])


def alone(directory: Path, source: StoreSource) -> tuple[float, str]:
    """Seconds that s3fs takes for the same, for one instance and without a check of what came."""
    files = s3fs.S3FileSystem(
        key="key", secret="secret", endpoint_url=source.endpoint, skip_instance_cache=True
    )
    began = time.perf_counter()
    files.get(f"{source.bucket}/{source.prefix}", str(directory), recursive=True)
    took = time.perf_counter() - began
    found = next(path.parent for path in directory.rglob("part-0.bin"))
    return took, _digest(found)


def _digest(directory: Path) -> str:
    whole = hashlib.sha256()
    for path in sorted(directory.iterdir()):
        with path.open("rb") as file:
            whole.update(hashlib.file_digest(file, "sha256").digest())
    return whole.hexdigest()


def measure(mib: int, rounds: int) -> list[Row]:
    """One row a way, with the seconds of every round."""
    rows: dict[str, Row] = {}
    with tempfile.TemporaryDirectory(prefix="easel-bench-") as served, store(Path(served), mib) as source:
        for _ in range(rounds):
            with tempfile.TemporaryDirectory(prefix="easel-bench-") as folder:
                fetched, again, ours = asyncio.run(through_the_cache(Path(folder) / "node", source))
                with ProcessPoolExecutor(1, mp_context=_APART) as apart:
                    plain, theirs = apart.submit(alone, Path(folder) / "plain", source).result()
            if ours != theirs:
                raise RuntimeError("what came through the cache is not what the store has")
            for what, seconds in (
                ("fetched once for four instances, checked", fetched),
                ("four more after a restart of the agent, checked anew", again),
                ("s3fs alone, for one, unchecked", plain),
            ):
                row = rows.setdefault(what, {"what": what, "mib": mib, "seconds": []})
                row["seconds"].append(round(seconds, 3))
    return list(rows.values())


def table(rows: list[Row]) -> str:
    lines = ["| what | MiB | rounds | p50 s | MiB/s |", "|---|---|---|---|---|"]
    for row in rows:
        median = statistics.median(row["seconds"])
        rounds, rate = len(row["seconds"]), row["mib"] / median
        lines.append(f"| {row['what']} | {row['mib']} | {rounds} | {median:.2f} | {rate:.0f} |")
    ours, _, plain = (statistics.median(row["seconds"]) for row in rows)
    lines += ["", f"The first instance waits {ours / plain:.2f} × what s3fs alone takes; the others with it."]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="32 MiB once: proves it works")
    parser.add_argument("--json", type=Path, help="also write the raw numbers to this file")
    arguments = parser.parse_args()
    rows = measure(*((32, 1) if arguments.quick else (1024, 3)))
    print(table(rows))
    if arguments.json:
        arguments.json.write_text(json.dumps({"rows": rows}) + "\n")


if __name__ == "__main__":
    main()
