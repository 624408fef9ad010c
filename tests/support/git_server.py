"""A repository served over HTTP by git's own program, with a door that asks for a user and a password."""

import base64
import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

_ENV = {
    "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_AUTHOR_NAME": "a",
    "GIT_AUTHOR_EMAIL": "a@example.com",
    "GIT_COMMITTER_NAME": "a",
    "GIT_COMMITTER_EMAIL": "a@example.com",
}


@dataclass
class GitServer:
    """One repository, `app.git`, with the branch main. `asked` are the paths that were asked for."""

    directory: Path
    login: tuple[str, str] | None = None
    asked: list[str] = field(default_factory=list)
    # The logins that were given, and where it sends everybody who asks.
    given: list[str] = field(default_factory=list)
    moved_to: str = ""
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/app.git"

    def commit(self, branch: str = "main", **files: str) -> str:
        """A new commit with these files (`name__txt` is name.txt); its hash."""
        work = self.directory / "work"
        if not work.exists():
            self._git("init", "--quiet", "--initial-branch", branch, str(work))
            self._git("init", "--quiet", "--bare", str(self.directory / "app.git"))
        for name, content in files.items():
            (work / name.replace("__", ".")).write_text(content)
        self._git("-C", str(work), "add", "--all")
        self._git("-C", str(work), "commit", "--quiet", "--allow-empty", "--message", "more")
        self._git("-C", str(work), "push", "--quiet", str(self.directory / "app.git"), f"HEAD:{branch}")
        return self._git("-C", str(work), "rev-parse", "HEAD").strip()

    @contextmanager
    def running(self) -> Iterator["GitServer"]:
        owner = self

        class Handler(_Handler):
            server_of = owner

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = server.server_address[1]
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()

    def _git(self, *words: str) -> str:
        done = subprocess.run(
            ["git", *words], env=_ENV, capture_output=True, text=True, check=True, timeout=30
        )
        return done.stdout


class _Handler(BaseHTTPRequestHandler):
    server_of: GitServer

    def do_GET(self) -> None:
        self._answer(b"")

    def do_POST(self) -> None:
        if self.headers.get("Transfer-Encoding") == "chunked":
            self._answer(self._chunks())
        else:
            self._answer(self.rfile.read(int(self.headers.get("Content-Length", 0))))

    def _answer(self, body: bytes) -> None:
        owner = self.server_of
        owner.asked.append(self.path)
        if "Authorization" in self.headers:
            owner.given.append(self.headers["Authorization"])
        if owner.moved_to:
            self.send_response(302)
            self.send_header("Location", f"{owner.moved_to}{self.path}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if not self._may():
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="git"')
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        path, _, query = self.path.partition("?")
        environment = {
            **_ENV,
            "GIT_PROJECT_ROOT": str(owner.directory),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
        }
        done = subprocess.run(
            ["git", "http-backend"], input=body, env=environment, capture_output=True, check=False, timeout=30
        )
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        headers = [line.split(": ", 1) for line in head.decode().split("\r\n") if ": " in line]
        status = next((int(value.split()[0]) for name, value in headers if name == "Status"), 200)
        self.send_response(status)
        for name, value in headers:
            if name != "Status":
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _may(self) -> bool:
        login = self.server_of.login
        wanted = base64.b64encode(":".join(login).encode()).decode() if login else ""
        return login is None or self.headers.get("Authorization") == f"Basic {wanted}"

    def _chunks(self) -> bytes:
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        return body

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Requests are noted in `asked` instead."""
