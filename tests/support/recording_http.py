"""An HTTP server that keeps what it is asked and answers as told."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class RecordingHttp:
    """`statuses` are used up one a request, the last one stays."""

    url: str = ""
    body: bytes = b"fine"
    location: str = ""
    statuses: list[int] = field(default_factory=lambda: [200])
    asked: list[Asked] = field(default_factory=list)


@contextmanager
def recording_http() -> Iterator[RecordingHttp]:
    record = RecordingHttp()

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            headers = {name.lower(): value for name, value in self.headers.items()}
            record.asked.append(Asked(self.command, self.path, headers, self.rfile.read(length)))
            status = record.statuses.pop(0) if len(record.statuses) > 1 else record.statuses[0]
            self.send_response(status)
            self.send_header("Content-Type", "text/plain")
            self.send_header("Content-Length", str(len(record.body)))
            if record.location:
                self.send_header("Location", record.location)
            self.end_headers()
            self.wfile.write(record.body)

        do_GET = do_POST = do_PUT = answer  # noqa: N815

        def log_message(self, *_arguments: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    record.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield record
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
