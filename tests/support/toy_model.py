"""A program that an instance runs: healthy, slow or broken as files in its working directory say.

`/health` answers 503 while `sick` exists and never while `hung` does; `/stream` sends a line and, once
`release` exists, another; everything else is answered with the pid. `fail` at its start ends it.
"""

import http.server
import os
import sys
import time
from pathlib import Path

PORT = int(os.environ["PORT"])


class Model(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/stream":
            self.answer(200, "first\n")
            wait_for("release")
            self.wfile.write(b"last\n")
            return
        if self.path == "/health" and Path("hung").exists():
            time.sleep(3600)
        sick = self.path == "/health" and Path("sick").exists()
        self.answer(503 if sick else 200, "model not loaded" if sick else str(os.getpid()))

    def answer(self, status: int, text: str) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *args: object) -> None:
        """The log is for the tests' own lines."""


def wait_for(name: str) -> None:
    while not Path(name).exists():
        time.sleep(0.02)


if __name__ == "__main__":
    if Path("fail").exists():
        sys.exit(3)
    sys.stdout.write("serving\n")
    sys.stdout.flush()
    http.server.ThreadingHTTPServer(("", PORT), Model).serve_forever()
