"""The HTTP program of the chaos runs: short answers at /, server-sent events for three seconds at /stream.

/hang makes it hang and /die ends it without a word. It ends at once on SIGTERM and does nothing to finish
what is under way: that is for Easel to wait for.
"""

import os
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

EVENTS = 6
PAUSE_S = 0.5


class Web(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    # Set by a request to /hang: from then on none is answered.
    hangs = False

    def do_GET(self) -> None:
        if self.path.endswith("/die"):
            os._exit(9)
        if Web.hangs:
            time.sleep(600)
        Web.hangs = self.path.endswith("/hang")
        if self.path.endswith("/stream"):
            return self._stream()
        return self._answer(b"ok " + os.environ.get("RELEASE", "1").encode())

    def _answer(self, content: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _stream(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for number in range(EVENTS):
            event = f"data: {number}\n\n".encode()
            self.wfile.write(b"%x\r\n%s\r\n" % (len(event), event))
            time.sleep(PAUSE_S)
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *_: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    request_queue_size = 128


if os.environ.get("RELEASE") == "0":
    raise SystemExit("this release crashes")
Server(("0.0.0.0", int(os.environ.get("PORT", "8000"))), Web).serve_forever()
