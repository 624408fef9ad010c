"""The gRPC program of the chaos runs: gives each note of a stream back. Ends at once on SIGTERM."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc


def echo(notes: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
    yield from notes


if os.environ.get("RELEASE") == "0":
    raise SystemExit("this release crashes")
server = grpc.server(ThreadPoolExecutor(32))
methods = {"Echo": grpc.stream_stream_rpc_method_handler(echo)}
server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("chaos.Notes", methods),))
server.add_insecure_port(f"0.0.0.0:{os.environ.get('PORT', '8000')}")
server.start()
server.wait_for_termination()
