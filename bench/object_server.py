"""A read-only object store for benches: lists and serves the files of a directory as one bucket.

It speaks as much of the S3 protocol as fetching needs, sends ranges without reading the rest, and asks nobody
who they are.
"""

import hashlib
import os
import re
from contextlib import suppress
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape


def server(directory: Path, port: int) -> ThreadingHTTPServer:
    """Bound and not yet serving; the first part of a path names the bucket, whatever it is."""

    class Handler(_Handler):
        root = directory

    return ThreadingHTTPServer(("127.0.0.1", port), Handler)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    root: Path

    def do_HEAD(self) -> None:
        self._object(head=True)

    def do_GET(self) -> None:
        if "list-type" in parse_qs(urlsplit(self.path).query):
            self._listing()
        else:
            self._object(head=False)

    def _listing(self) -> None:
        asked = parse_qs(urlsplit(self.path).query)
        prefix, delimited = asked.get("prefix", [""])[0], "delimiter" in asked
        found = sorted(path for path in self.root.rglob("*") if path.is_file())
        rows, common = [], set()
        for path in found:
            key = str(path.relative_to(self.root))
            if not key.startswith(prefix):
                continue
            below = key[len(prefix) :]
            if delimited and "/" in below:
                common.add(prefix + below.split("/")[0] + "/")
                continue
            rows.append(
                f"<Contents><Key>{escape(key)}</Key><Size>{path.stat().st_size}</Size><ETag>{_etag(path)}</ETag>"
                "<LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>"
            )
        rows += [
            f"<CommonPrefixes><Prefix>{escape(each)}</Prefix></CommonPrefixes>" for each in sorted(common)
        ]
        body = (
            '<?xml version="1.0"?><ListBucketResult><IsTruncated>false</IsTruncated>'
            f"<KeyCount>{len(rows)}</KeyCount>{''.join(rows)}</ListBucketResult>"
        ).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _object(self, *, head: bool) -> None:
        key = unquote(urlsplit(self.path).path).lstrip("/").partition("/")[2]
        path = self.root / key
        if not key or not path.is_file():
            self.send_response(404)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        size = path.stat().st_size
        asked = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        begin, end = (int(asked[1]), min(int(asked[2]) + 1, size)) if asked else (0, size)
        self.send_response(206 if asked else 200)
        self.send_header("ETag", _etag(path))
        self.send_header("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")
        self.send_header("Content-Length", str(end - begin))
        if asked:
            self.send_header("Content-Range", f"bytes {begin}-{end - 1}/{size}")
        self.end_headers()
        if not head:
            self.wfile.flush()
            # Who asks may have had enough.
            with path.open("rb") as file, suppress(ConnectionError):
                while begin < end:
                    begin += os.sendfile(self.connection.fileno(), file.fileno(), begin, end - begin)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Said by nobody: it would be measured."""


@lru_cache
def _etag(path: Path) -> str:
    with path.open("rb") as file:
        return f'"{hashlib.file_digest(file, "md5").hexdigest()}"'
