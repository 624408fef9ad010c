"""A program with what a release needs: a readiness check to answer, and answers that tell the release.

`RELEASE=broken` never becomes ready; `RELEASE=crash` ends at once.
"""

import os
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

RELEASE = os.environ.get("RELEASE", "none")
TOKENS = 6


class Model(BaseHTTPRequestHandler):
    """`/` answers, `/stream` answers bit by bit for three seconds, `/ready` says whether it may be called."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path.startswith("/ready"):
            broken = RELEASE == "broken"
            self._answer(503 if broken else 200, b"the model is not loaded\n" if broken else b"ready\n")
        elif self.path.startswith("/stream"):
            self._stream()
        else:
            self._answer(200, f"release {RELEASE}\n".encode())

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.do_GET()

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _stream(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        for number in range(TOKENS):
            self.wfile.write(f"data: token {number} of release {RELEASE}\n\n".encode())
            time.sleep(0.5)


if RELEASE == "crash":
    raise SystemExit("this release cannot start")
ThreadingHTTPServer(("0.0.0.0", int(os.environ.get("PORT", "8000"))), Model).serve_forever()
