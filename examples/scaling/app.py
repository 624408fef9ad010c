"""Works on one request at a time, 20 ms each, and tells Easel how many tokens a second that comes to."""

import json
import os
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

WORK_S, TOKENS = 0.02, 16
METRICS = os.environ.get("EASEL_METRICS_URL", "http://localhost:8080/api/builtin/realtime_metrics")
_turn = threading.Lock()
_done = 0


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Head and body of an answer leave together.
    wbufsize = -1

    def do_GET(self) -> None:
        global _done  # noqa: PLW0603
        with _turn:
            time.sleep(WORK_S)
            _done += 1
        body = json.dumps({"instance": os.getpid(), "tokens": TOKENS}).encode() + b"\n"
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("content-length") or 0))
        self.do_GET()

    def log_message(self, *_: object) -> None:
        """Says nothing a request."""


class Server(ThreadingHTTPServer):
    request_queue_size = 1024


def tell_tokens_per_second() -> None:
    before = _done
    while True:
        time.sleep(5)
        now = _done
        value = {"name": "tokens_per_second", "tags": {}, "value": (now - before) * TOKENS / 5}
        before = now
        request = urllib.request.Request(
            METRICS, json.dumps([value]).encode(), {"content-type": "application/json"}
        )
        try:
            urllib.request.urlopen(request, timeout=2).close()
        except OSError as refused:
            print(f"the numbers were not taken: {refused}", flush=True)


if __name__ == "__main__":
    threading.Thread(target=tell_tokens_per_second, daemon=True).start()
    Server(("0.0.0.0", int(os.environ.get("PORT", "8000"))), Handler).serve_forever()
