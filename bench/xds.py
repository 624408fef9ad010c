"""How long a change takes from the gateway to the first request that it routes, by number of services.

    python -m bench.xds [--services 10 1000 10000] [--changes 1000] [--json FILE]

The clock starts when an update is handed to the gateway, as the routes feed does it, and stops when a client
that asks without a pause has read the first answer of the new instance through Envoy. The second table has
the services in groups, with mirrors, and changes weights.
"""

import argparse
import asyncio
import json
import platform
import random
import socket
import sys
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median, quantiles

import psutil

from bench.gateway_rig import Rig, answering, gateway_rig, plain_envoy
from services.gateway.routes import Backend, Endpoint, Group, GroupMember, Mirror, Service, Token, Update
from tests.support.free_ports import free_port

TOKEN = "bench-token"
_DEADLINE = 20.0


@dataclass(frozen=True)
class Result:
    """What was measured at one number of services."""

    services: int
    load_seconds: float
    envoy_mib: float
    endpoint_ms: list[float]
    new_service_ms: list[float]


@dataclass(frozen=True)
class Grouped:
    """What was measured with the same number of services in groups of two, each with a mirror."""

    services: int
    load_seconds: float
    envoy_mib: float
    weight_ms: list[float]


class Client:
    """Asks for one service again and again over one connection."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=_DEADLINE)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def until_answered_by(self, name: str, backend: bytes) -> float:
        """The moment at which `backend` has answered a request for the service."""
        request = (
            f"GET /api/predict/{name} HTTP/1.1\r\nhost: bench\r\nauthorization: {TOKEN}\r\n\r\n".encode()
        )
        ends = time.perf_counter() + _DEADLINE
        while time.perf_counter() < ends:
            self._socket.sendall(request)
            if backend in self._answer():
                return time.perf_counter()
        raise SystemExit(f"{name} was not answered by {backend!r} within {_DEADLINE:g} s")

    def _answer(self) -> bytes:
        text = b""
        while b"\r\n\r\n" not in text:
            text += self._socket.recv(65536)
        head, _, body = text.partition(b"\r\n\r\n")
        length = next(
            int(line.split(b":")[1])
            for line in head.lower().split(b"\r\n")
            if line.startswith(b"content-length")
        )
        while len(body) < length:
            body += self._socket.recv(65536)
        return body


def service(number: int, port: int) -> Service:
    """A service with one instance."""
    endpoint = Endpoint(f"i-{number}", "127.0.0.1", port)
    return Service(f"svc{number}", (Token(TOKEN),), backends=(Backend(1, (endpoint,)),))


async def measure(count: int, changes: int) -> Result:
    """Loads `count` services, then changes them one at a time."""
    port, a, b = free_port(), free_port(), free_port()
    with plain_envoy(answering(a, "answer-a")), plain_envoy(answering(b, "answer-b")):
        began = time.perf_counter()
        first = Update(1, True, tuple(service(number, a) for number in range(count)))
        async with gateway_rig(port, first) as rig:
            client = await asyncio.to_thread(Client, port)
            await asyncio.to_thread(client.until_answered_by, f"svc{count - 1}", b"answer-a")
            loaded = time.perf_counter() - began
            picks = random.Random(1)
            endpoint, where = [], dict.fromkeys(range(count), a)
            for _ in range(changes):
                number = picks.randrange(count)
                where[number] = b if where[number] == a else a
                wanted = b"answer-b" if where[number] == b else b"answer-a"
                endpoint.append(await _timed(rig, client, service(number, where[number]), wanted))
            fresh = [
                await _timed(rig, client, service(count + number, b), b"answer-b")
                for number in range(max(changes // 4, 5))
            ]
            memory = psutil.Process(rig.envoy_pid).memory_info().rss / 2**20
    return Result(count, loaded, memory, endpoint, fresh)


async def measure_groups(count: int, changes: int) -> Grouped:
    """Loads `count` services in groups, then turns the requests of one group after the other to its other
    member."""
    port, a, b = free_port(), free_port(), free_port()
    pairs = max(count // 2, 1)
    with plain_envoy(answering(a, "answer-a")), plain_envoy(answering(b, "answer-b")):
        began = time.perf_counter()
        members = tuple(each for pair in range(pairs) for each in _members(pair, a, b))
        groups = tuple(_group(pair, to_b=False) for pair in range(pairs))
        async with gateway_rig(port, Update(1, True, members, groups=groups)) as rig:
            client = await asyncio.to_thread(Client, port)
            await asyncio.to_thread(client.until_answered_by, f"grp{pairs - 1}", b"answer-a")
            loaded = time.perf_counter() - began
            picks, weights = random.Random(1), []
            on_b = dict.fromkeys(range(pairs), False)
            for _ in range(changes):
                pair = picks.randrange(pairs)
                on_b[pair] = not on_b[pair]
                wanted = b"answer-b" if on_b[pair] else b"answer-a"
                weights.append(await _timed(rig, client, _group(pair, to_b=on_b[pair]), wanted))
            memory = psutil.Process(rig.envoy_pid).memory_info().rss / 2**20
    return Grouped(2 * pairs, loaded, memory, weights)


def _members(pair: int, a: int, b: int) -> tuple[Service, Service]:
    """Two members of a group; copies of one percent of the first one's requests go to the second."""
    group, copied = f"grp{pair}", (Mirror(f"svc{pair}b", 1, (Endpoint(f"i-{pair}b", "127.0.0.1", b),)),)
    first, second = service(pair, a), service(pair, b)
    return (
        replace(first, name=f"svc{pair}a", group=group, mirrors=copied),
        replace(second, name=f"svc{pair}b", group=group),
    )


def _group(pair: int, *, to_b: bool) -> Group:
    shares = (GroupMember(f"svc{pair}a", 0 if to_b else 100), GroupMember(f"svc{pair}b", 100 if to_b else 0))
    return Group(f"grp{pair}", (Token(TOKEN),), shares)


async def _timed(rig: Rig, client: Client, changed: Service | Group, wanted: bytes) -> float:
    rig.generation += 1
    asking = asyncio.create_task(asyncio.to_thread(client.until_answered_by, changed.name, wanted))
    await asyncio.sleep(0.005)
    began = time.perf_counter()
    if isinstance(changed, Group):
        await rig.publish(Update(rig.generation, False, groups=(changed,)))
    else:
        await rig.publish(Update(rig.generation, False, (changed,)))
    return (await asking - began) * 1e3


def p99(values: list[float]) -> float:
    """The 99th percentile."""
    return quantiles(values, n=100, method="inclusive")[98]


def main() -> None:
    """Measures and reports."""
    # The client's thread shares this process with the gateway, which is alone in its own otherwise.
    sys.setswitchinterval(0.0005)
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--services", type=int, nargs="+", default=[10, 1_000, 10_000])
    options.add_argument("--changes", type=int, default=1000)
    options.add_argument("--json", type=Path)
    given = options.parse_args()
    results = []
    print("| services | endpoint change p50 / p99 ms | new service p50 / p99 ms | first load s | Envoy MiB |")
    print("|---|---|---|---|---|")
    for count in given.services:
        each = asyncio.run(measure(count, given.changes))
        results.append(each)
        print(
            f"| {count:,} | {median(each.endpoint_ms):.1f} / {p99(each.endpoint_ms):.1f} "
            f"| {median(each.new_service_ms):.1f} / {p99(each.new_service_ms):.1f} "
            f"| {each.load_seconds:.1f} | {each.envoy_mib:.0f} |",
            flush=True,
        )
    print(
        "\n| services in groups of two with mirrors | weight change p50 / p99 ms | first load s | Envoy MiB |"
    )
    print("|---|---|---|---|")
    grouped = []
    for count in given.services:
        them = asyncio.run(measure_groups(count, given.changes))
        grouped.append(them)
        print(
            f"| {them.services:,} | {median(them.weight_ms):.1f} / {p99(them.weight_ms):.1f} "
            f"| {them.load_seconds:.1f} | {them.envoy_mib:.0f} |",
            flush=True,
        )
    if given.json:
        whole = {
            "machine": platform.platform(),
            "results": [asdict(each) for each in results],
            "groups": [asdict(each) for each in grouped],
        }
        given.json.write_text(json.dumps(whole, indent=1))


if __name__ == "__main__":
    main()
