"""What others feel of a bad neighbour: the latency of one service, undisturbed and disturbed, side by side.

    python -m bench.disturbance [--rounds 7] [--seconds 4] [--rate 500] [--json FILE]

One service is called at a steady rate through one Envoy worker. Slices with each disturbance are interleaved
with slices without any: a mirror whose target hangs, one whose target is dead, clients that send their
headers byte by byte, clients that send headers far too large. Read the ratios to the slices without.
"""

import argparse
import asyncio
import json
import platform
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from statistics import median

from bench.gateway_rig import answering, gateway_rig, pin, plain_envoy
from bench.pace import paced
from bench.xds import p99
from services.gateway.routes import Backend, Endpoint, Mirror, Service, Token, Update
from tests.support.free_ports import free_port

TOKEN = "bench-token-0123456789abcdef"
_BODY = "x" * 64
_SLOW_CLIENTS = 300
_LARGE_HEADERS_A_SECOND = 50


@dataclass(frozen=True)
class Case:
    """A service that is called, and what goes on meanwhile."""

    name: str
    service: str
    meanwhile: Callable[[int], AbstractContextManager[object]]


def quiet(port: int) -> AbstractContextManager[object]:
    return nullcontext()


@contextmanager
def slow_clients(port: int) -> Iterator[None]:
    """Connections that send a byte of their headers now and then, opened again when they are ended."""
    with _until_left(lambda stop: asyncio.run(_slowly(port, stop))):
        yield


@contextmanager
def large_headers(port: int) -> Iterator[None]:
    """Requests with headers of 200 KiB, one after the other."""
    with _until_left(lambda stop: _large(port, stop)):
        yield


CASES = (
    Case("nothing", "plain", quiet),
    Case("a mirror of 100 % to a target that hangs", "mirrored_to_hanging", quiet),
    Case("a mirror of 100 % to a target that is dead", "mirrored_to_dead", quiet),
    Case(f"{_SLOW_CLIENTS} clients that send headers byte by byte", "plain", slow_clients),
    Case(f"{_LARGE_HEADERS_A_SECOND} requests a second with headers of 200 KiB", "plain", large_headers),
)


async def measure(rounds: int, seconds: float, rate: int) -> dict[str, list[list[float]]]:
    """The latencies of each slice in milliseconds, by case."""
    port, backend_port = free_port(), free_port()
    with plain_envoy(answering(backend_port, _BODY)) as backend, _hanging() as hanging:
        services = _services(backend_port, {"hanging": hanging, "dead": free_port()})
        async with gateway_rig(port, Update(1, True, services)) as rig:
            pin(backend, 1)
            pin(rig.envoy_pid, 0)
            await asyncio.sleep(0.5)
            seen: dict[str, list[list[float]]] = {case.name: [] for case in CASES}
            for round_number in range(rounds + 1):
                for case in CASES if round_number % 2 else CASES[::-1]:
                    took = await asyncio.to_thread(_slice, case, port, rate, seconds)
                    if round_number:  # the first round warms up
                        seen[case.name].append(took)
            return seen


def _slice(case: Case, port: int, rate: int, seconds: float) -> list[float]:
    url = f"http://127.0.0.1:{port}/api/predict/{case.service}"
    with case.meanwhile(port):
        return paced(url, _BODY, {"Authorization": TOKEN}, rate, seconds)


def _services(backend_port: int, targets: dict[str, int]) -> tuple[Service, ...]:
    endpoint = Endpoint("i-1", "127.0.0.1", backend_port)
    common = {"tokens": (Token(TOKEN),), "backends": (Backend(1, (endpoint,)),)}
    mirrored = (
        Service(
            f"mirrored_to_{name}",
            keepalive=timedelta(seconds=5),
            mirrors=(Mirror(name, 100, (Endpoint("i-2", "127.0.0.1", target),)),),
            **common,  # type: ignore[arg-type]
        )
        for name, target in targets.items()
    )
    return (Service("plain", keepalive=timedelta(seconds=5), **common), *mirrored)  # type: ignore[arg-type]


@contextmanager
def _hanging() -> Iterator[int]:
    """A server that takes connections and never reads; yields its port."""
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as server:
        held: list[socket.socket] = []

        def accept() -> None:
            while True:
                try:
                    held.append(server.accept()[0])
                except OSError:
                    return

        threading.Thread(target=accept, daemon=True).start()
        try:
            yield server.getsockname()[1]
        finally:
            server.shutdown(socket.SHUT_RDWR)
            for each in held:
                each.close()


@contextmanager
def _until_left(work: Callable[[threading.Event], None]) -> Iterator[None]:
    stop = threading.Event()
    thread = threading.Thread(target=work, args=(stop,))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


async def _slowly(port: int, stop: threading.Event) -> None:
    async def one() -> None:
        while not stop.is_set():
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(b"POST /api/predict/plain HTTP/1.1\r\nhost: x\r\nx-slow: ")
                while not stop.is_set() and not writer.is_closing():
                    writer.write(b"a")
                    await writer.drain()
                    await asyncio.sleep(0.5)
                writer.close()
            except OSError:
                await asyncio.sleep(0.1)

    await asyncio.gather(*(one() for _ in range(_SLOW_CLIENTS)))


def _large(port: int, stop: threading.Event) -> None:
    request = b"GET /api/predict/plain HTTP/1.1\r\nhost: x\r\nx-large: " + b"a" * 200 * 1024 + b"\r\n\r\n"
    while not stop.is_set():
        began = time.monotonic()
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
                client.sendall(request)
                client.recv(1024)
        except OSError:
            pass  # ended in the middle of the headers, as it should be
        stop.wait(max(0.0, 1 / _LARGE_HEADERS_A_SECOND - (time.monotonic() - began)))


def report(seen: dict[str, list[list[float]]]) -> dict[str, object]:
    """Prints the table; returns what goes to the JSON file."""
    print("| meanwhile | p50 ms | p99 ms | p99 ÷ that of nothing, median of rounds (least, most) |")
    print("|---|---|---|---|")
    ratios: dict[str, list[float]] = {}
    for name, slices in seen.items():
        pairs = zip(slices, seen[CASES[0].name], strict=True)
        ratios[name] = [p99(disturbed) / p99(undisturbed) for disturbed, undisturbed in pairs]
        each = ratios[name]
        print(
            f"| {name} | {median(median(s) for s in slices):.2f} | {median(p99(s) for s in slices):.2f} "
            f"| {median(each):.2f} ({min(each):.2f}, {max(each):.2f}) |"
        )
    return {"machine": platform.platform(), "ratios": ratios}


def main() -> None:
    """Measures and reports."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--rounds", type=int, default=7)
    options.add_argument("--seconds", type=float, default=4.0)
    options.add_argument("--rate", type=int, default=500)
    options.add_argument("--json", type=Path)
    given = options.parse_args()
    result = report(asyncio.run(measure(given.rounds, given.seconds, given.rate)))
    if given.json:
        given.json.write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
