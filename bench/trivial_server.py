"""The smallest model server there is: answers every request with 200. Listens on $PORT, else on 8000."""

import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Fine(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "3")
        self.end_headers()
        self.wfile.write(b"ok\n")

    def log_message(self, *_: object) -> None:
        pass


ThreadingHTTPServer(("0.0.0.0", int(os.environ.get("PORT", "8000"))), Fine).serve_forever()
