"""A served gRPC program: a stream of messages in, the same stream out, each as soon as it came. On $PORT."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc


def echo(messages: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
    for message in messages:
        yield b"echo " + message
    context.set_trailing_metadata((("echoed", "all"),))


server = grpc.server(ThreadPoolExecutor(8))
methods = {"Stream": grpc.stream_stream_rpc_method_handler(echo)}
server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Echo", methods),))
server.add_insecure_port(f"0.0.0.0:{os.environ.get('PORT', '8000')}")
server.start()
server.wait_for_termination()
