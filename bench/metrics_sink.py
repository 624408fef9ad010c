"""Takes what an Envoy counts, and throws it away: the least that metrics can cost the machine it runs on.

python -m bench.metrics_sink PORT
"""

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from subprocess import Popen

import grpc

_CALL = "/envoy.service.metrics.v3.MetricsService/StreamMetrics"


class _Sink(grpc.GenericRpcHandler):
    def service(self, details: grpc.HandlerCallDetails) -> "grpc.RpcMethodHandler[bytes, bytes] | None":
        if details.method != _CALL:
            return None
        return grpc.stream_unary_rpc_method_handler(_throw_away)


def _throw_away(messages: Iterator[bytes], _context: grpc.ServicerContext) -> bytes:
    for _ in messages:
        pass
    return b""


@contextmanager
def metrics_sink(port: int) -> Iterator[int]:
    """Runs it as a process of its own; yields its id."""
    command = [sys.executable, "-m", "bench.metrics_sink", str(port)]
    sink = Popen(command, cwd=Path(__file__).parent.parent)
    try:
        yield sink.pid
    finally:
        sink.terminate()
        sink.wait(10)


def main() -> None:
    """Serves until it is ended."""
    server = grpc.server(ThreadPoolExecutor(8), handlers=[_Sink()])
    server.add_insecure_port(f"127.0.0.1:{sys.argv[1]}")
    server.start()
    server.wait_for_termination()


if __name__ == "__main__":
    main()
