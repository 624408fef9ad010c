"""A served program that tells what it finds where it runs. Listens on $PORT."""

import importlib
import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

ASKED: list[str] = []


def shared_memory(_: str) -> object:
    """Its size in MiB."""
    room = os.statvfs("/dev/shm")
    return room.f_frsize * room.f_blocks >> 20


def imported(name: str) -> object:
    """What a package calls its word."""
    return importlib.import_module(name).WORD


def written(path: str) -> object:
    """How writing a file ends."""
    try:
        Path(f"/{path}").write_text("mine")
    except OSError as refused:
        return refused.strerror
    return "written"


def hogged(mebibytes: str) -> object:
    """Takes memory, and touches it."""
    return len(b"x" * (int(mebibytes) << 20))


def asked(_: str) -> object:
    """The bodies of the requests that came to /."""
    return ASKED


TRICKS = {"shm": shared_memory, "import": imported, "write": written, "hog": hogged, "asked": asked}


class Inside(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        trick, _, word = self.path.strip("/").partition("/")
        if not trick:
            ASKED.append(body)
        content = json.dumps(TRICKS[trick](word) if trick else None).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST  # noqa: N815

    def log_message(self, *_: object) -> None:
        pass


ThreadingHTTPServer(("0.0.0.0", int(os.environ["PORT"])), Inside).serve_forever()
