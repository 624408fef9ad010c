"""A server that speaks the S3 protocol, and a door before it that counts, holds and refuses requests."""

import re
import secrets
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import boto3
from botocore.config import Config
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

from services.agent.storage.sources import StoreSource
from tests.support.free_ports import free_port

KEY, SECRET = "reader", "let-me-read"
_DENIED = (
    b'<?xml version="1.0" encoding="UTF-8"?><Error><Code>InvalidAccessKeyId</Code>'
    b"<Message>The access key is not known.</Message></Error>"
)


@dataclass
class S3Server:
    """One server with one bucket. `gets` are the objects that were read, once for each range."""

    bucket: str = field(default_factory=lambda: f"b-{secrets.token_hex(4)}")
    port: int = field(default_factory=free_port)
    gets: list[tuple[str, str]] = field(default_factory=list)
    # Reads beyond so many wait until it is raised or the server closes.
    most_gets: int | None = None
    _change: threading.Condition = field(default_factory=threading.Condition)
    _closed: bool = False

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def client(self) -> Any:
        """To put objects and to look at them."""
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name="us-east-1",
            aws_access_key_id=KEY,
            aws_secret_access_key=SECRET,
            config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 2}),
        )

    def source(self, prefix: str = "model", **changes: str) -> StoreSource:
        facts = {"endpoint": self.endpoint, "region": "us-east-1"}
        facts |= {"access_key_id": KEY, "secret_access_key": SECRET, **changes}
        return StoreSource(self.bucket, prefix, **facts)

    def put(self, key: str, content: bytes) -> None:
        self.client.put_object(Bucket=self.bucket, Key=key, Body=content)

    def get(self, key: str) -> bytes:
        return bytes(self.client.get_object(Bucket=self.bucket, Key=key)["Body"].read())

    def keys(self) -> list[str]:
        found = self.client.list_objects_v2(Bucket=self.bucket).get("Contents", ())
        return [each["Key"] for each in found]

    def hold_after(self, gets: int | None) -> None:
        """Answers so many reads and lets the others wait; None lets all go."""
        with self._change:
            self.most_gets = None if gets is None else len(self.gets) + gets
            self._change.notify_all()

    @contextmanager
    def running(self) -> Iterator["S3Server"]:
        server = make_server("127.0.0.1", self.port, self._door, threaded=True, request_handler=_Quiet)
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            self.client.create_bucket(Bucket=self.bucket)
            yield self
        finally:
            with self._change:
                self._closed = True
                self._change.notify_all()
            server.shutdown()
            server.server_close()

    def _door(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        signed = re.search(r"Credential=([^/]+)/", environ.get("HTTP_AUTHORIZATION", ""))
        if signed is None or signed[1] != KEY:
            start(
                "403 Forbidden", [("Content-Type", "application/xml"), ("Content-Length", str(len(_DENIED)))]
            )
            return [_DENIED]
        if environ["REQUEST_METHOD"] == "GET" and "HTTP_RANGE" in environ:
            self._count(environ["PATH_INFO"].removeprefix(f"/{self.bucket}/"), environ["HTTP_RANGE"])
        answer: Iterable[bytes] = _SERVER(environ, start)
        return answer

    def _count(self, key: str, wanted: str) -> None:
        with self._change:
            self.gets.append((key, wanted))
            mine = len(self.gets)
            self._change.wait_for(lambda: self._closed or self.most_gets is None or mine <= self.most_gets)


class _Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: object) -> None:  # noqa: A002
        """Requests are counted instead."""


_SERVER = DomainDispatcherApplication(create_backend_app)
