"""A model server that works on one request at a time, 20 ms each: at most 50 requests a second.

Listens on $PORT, else on 8000; answers with how many requests it had begun before.
"""

import itertools
import os
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

WORK_S = 0.02
_turn, _begun = threading.Lock(), itertools.count()


class OneAtATime(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Head and body of an answer leave together.
    wbufsize = -1

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", "0")))
        begun = b"%d\n" % next(_begun)
        with _turn:
            time.sleep(WORK_S)
        self.send_response(200)
        self.send_header("Content-Length", str(len(begun)))
        self.end_headers()
        self.wfile.write(begun)

    def do_GET(self) -> None:
        self.do_POST()

    def log_message(self, *_: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    request_queue_size = 1024


Server(("0.0.0.0", int(os.environ.get("PORT", "8000"))), OneAtATime).serve_forever()
