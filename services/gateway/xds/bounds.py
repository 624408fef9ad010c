"""What keeps one client, careless or ill-meant, from taking the gateway away from the others.

docs/SECURITY.md lists these values.
"""

from datetime import timedelta

# Of one request's headers together, and their number.
HEADERS_KIB = 64
HEADERS_COUNT = 100
# Until the headers are there, and until a new connection has shown its certificate or its server name.
HEADERS_WITHIN = timedelta(seconds=10)
HANDSHAKE_WITHIN = timedelta(seconds=10)
# A connection without a request.
IDLE_CONNECTION = timedelta(minutes=10)
# A client that does not take an answer that is complete.
FLUSH_WITHIN = timedelta(minutes=5)
# What is held of one connection, in either direction, before its sender must wait.
BUFFER_BYTES = 1024 * 1024
# HTTP/2: requests at once on a connection, and how much of bodies may be on the way: of one, of all.
STREAMS = 1000
STREAM_WINDOW_BYTES = 1024 * 1024
CONNECTION_WINDOW_BYTES = 4 * 1024 * 1024
# Shares of the heap at which Envoy shortens idle times, gives memory back, and takes no more requests.
HEAP_HURRY = (0.80, 0.95)
HEAP_SHRINK = 0.90
HEAP_REFUSE = 0.95
# A connection of TCP that says nothing in either direction.
TCP_IDLE = timedelta(hours=1)
