"""Answers each request with its number: how many had begun before. With ?ms= it works so long on each."""

import itertools
import json
import os
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

# What makes an instance slow to be there.
time.sleep(float(os.environ.get("STARTS_IN", "0")))
_begun = itertools.count()


class Numbering(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Head and body of an answer leave together.
    wbufsize = -1

    def do_POST(self) -> None:
        number = next(_begun)
        self.rfile.read(int(self.headers.get("Content-Length", "0")))
        ms = float(parse_qs(urlsplit(self.path).query).get("ms", ["0"])[0])
        if ms:
            time.sleep(ms / 1000)
        body = json.dumps({"number": number, "run": str(os.getpid())}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        self.do_POST()

    def log_message(self, *_: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    request_queue_size = 1024


Server(("0.0.0.0", int(os.environ["PORT"])), Numbering).serve_forever()
