"""An image registry of a test's own: the pull half of the registry protocol, with a login if wanted."""

import base64
import gzip
import hashlib
import io
import json
import tarfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
_CONFIG = "application/vnd.docker.container.image.v1+json"
_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"


class Registry:
    """Serves what is put into it. While `held` is set, layers stop half-way."""

    def __init__(self, login: tuple[str, str] | None = None) -> None:
        self.port = 0
        self.held = threading.Event()
        self.layers_served = 0
        self.manifests_served = 0
        self._released = threading.Event()
        self._blobs: dict[str, bytes] = {}
        self._layers: set[str] = set()
        self._manifests: dict[tuple[str, str], bytes] = {}
        self._expected = (
            "Basic " + base64.b64encode(":".join(login).encode()).decode() if login is not None else ""
        )

    def put(self, name: str, tag: str, files: Mapping[str, bytes]) -> str:
        """An image of one layer with these files and no shell; what to pull it by."""
        layer = _tar_of(files)
        packed = gzip.compress(layer, mtime=0)
        config = json.dumps(
            {
                "architecture": "amd64",
                "os": "linux",
                "config": {"Cmd": ["/nothing"]},
                "rootfs": {"type": "layers", "diff_ids": [_digest(layer)]},
            }
        ).encode()
        manifest = {
            "schemaVersion": 2,
            "mediaType": _MANIFEST,
            "config": {"mediaType": _CONFIG, "size": len(config), "digest": self._blob(config)},
            "layers": [{"mediaType": _LAYER, "size": len(packed), "digest": self._blob(packed)}],
        }
        self._layers.add(_digest(packed))
        text = json.dumps(manifest).encode()
        self._manifests[name, tag] = self._manifests[name, _digest(text)] = text
        return self.image(name, tag)

    def image(self, name: str, tag: str) -> str:
        return f"127.0.0.1:{self.port}/{name}:{tag}"

    def hold(self) -> None:
        """From now on layers stop half-way."""
        self._released.clear()
        self.held.set()

    def release(self) -> None:
        self.held.clear()
        self._released.set()

    def _blob(self, content: bytes) -> str:
        self._blobs[_digest(content)] = content
        return _digest(content)

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """One request, to its end."""
        if self._expected and request.headers.get("Authorization") != self._expected:
            _send(request, 401, _error("UNAUTHORIZED", "authentication required"), 'Basic realm="test"')
            return
        words = request.path.strip("/").split("/")
        if words == ["v2"]:
            _send(request, 200, b"{}")
        elif "manifests" in words:
            self._answer_manifest(request, "/".join(words[1:-2]), words[-1])
        else:
            self._answer_blob(request, words[-1])

    def _answer_manifest(self, request: BaseHTTPRequestHandler, name: str, reference: str) -> None:
        manifest = self._manifests.get((name, reference))
        if manifest is None:
            _send(request, 404, _error("MANIFEST_UNKNOWN", "manifest unknown"))
            return
        self.manifests_served += request.command == "GET"
        _send(request, 200, manifest, kind=_MANIFEST)

    def _answer_blob(self, request: BaseHTTPRequestHandler, digest: str) -> None:
        content = self._blobs.get(digest)
        if content is None:
            _send(request, 404, _error("BLOB_UNKNOWN", "blob unknown"))
            return
        if digest not in self._layers or request.command != "GET":
            _send(request, 200, content)
            return
        self.layers_served += 1
        if not self.held.is_set():
            _send(request, 200, content)
            return
        half = len(content) // 2
        _send(request, 200, content[:half], length=len(content))
        self._released.wait(60)
        request.wfile.write(content[half:])


@contextmanager
def registry(login: tuple[str, str] | None = None) -> Iterator[Registry]:
    """A registry that listens inside the block, where the engine reaches it without TLS."""
    serves = Registry(login)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            serves.answer(self)

        do_HEAD = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    serves.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield serves
    finally:
        serves.release()
        server.shutdown()
        server.server_close()
        thread.join()


def _send(
    request: BaseHTTPRequestHandler,
    status: int,
    body: bytes,
    challenge: str = "",
    kind: str = "application/octet-stream",
    length: int | None = None,
) -> None:
    request.send_response(status)
    request.send_header("Docker-Distribution-Api-Version", "registry/2.0")
    request.send_header("Content-Type", kind)
    request.send_header("Content-Length", str(len(body) if length is None else length))
    request.send_header("Docker-Content-Digest", _digest(body))
    if challenge:
        request.send_header("WWW-Authenticate", challenge)
    request.end_headers()
    if request.command == "GET":
        request.wfile.write(body)


def _error(code: str, message: str) -> bytes:
    return json.dumps({"errors": [{"code": code, "message": message}]}).encode()


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _tar_of(files: Mapping[str, bytes]) -> bytes:
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name.strip("/"))
            entry.size, entry.mode = len(content), 0o644
            tar.addfile(entry, io.BytesIO(content))
    return written.getvalue()
