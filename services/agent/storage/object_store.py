"""A bucket of an S3-compatible object store. A call has a deadline, tries again, and fails in a sentence."""

import asyncio
import importlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any, BinaryIO, TypeVar
from urllib.parse import urlsplit

from services.agent.storage.failures import Changed, failure_of, is_passing
from services.agent.storage.sources import StoreSource

T = TypeVar("T")
_WITHIN = 60.0
# On a slow line a part of an upload takes long; nobody sees how far it is.
_UPLOADED_WITHIN = 900.0
_SILENT_FOR = 30.0
_TOLD_EVERY = 1.0
_READ_AT_ONCE = 1 << 18
_WAITS = (0.2, 1.0, 3.0)
_UPLOAD_PART = 16 << 20
# Their buckets are part of the host name only.
_VIRTUAL = (".aliyuncs.com", ".amazonaws.com")


@dataclass(frozen=True)
class StoredObject:
    """One object as it is listed. `path` is its key below the prefix of its source."""

    path: str
    key: str
    size: int
    etag: str


@dataclass(frozen=True)
class Piece:
    """Some bytes of an object. Of an `encrypted` one the etag is not the MD5."""

    content: bytes
    encrypted: bool


@dataclass
class _Client:
    """A connection that several may use at once."""

    files: Any
    users: int = 0


class Stores:
    """Opens stores. Those who use the same one at the same time share its connections."""

    def __init__(self) -> None:
        self._clients: dict[StoreSource, _Client] = {}
        self._session: Any = None

    @asynccontextmanager
    async def opened(self, source: StoreSource) -> AsyncIterator["ObjectStore"]:
        """The store behind a source, connected at its first call."""
        # Imported at its first use: it takes as long as all else of the agent.
        s3fs, sessions, botocore, aiohttp = await asyncio.to_thread(_libraries)
        account = replace(source, bucket="", prefix="")
        client = self._clients.get(account)
        if client is None:
            self._session = self._session or sessions.get_session()
            files = s3fs.S3FileSystem(session=self._session, **_options(source))
            files.retries = 1
            client = self._clients[account] = _Client(files)
        client.users += 1
        try:
            refusals = (OSError, ValueError, botocore.BotoCoreError, aiohttp.ClientError)
            yield ObjectStore(source, client.files, refusals)
        finally:
            client.users -= 1
            if not client.users:
                del self._clients[account]
                if client.files._s3 is not None:
                    await client.files._s3.close()


@asynccontextmanager
async def opened(source: StoreSource) -> AsyncIterator["ObjectStore"]:
    """A store that is shared with nobody."""
    async with Stores().opened(source) as store:
        yield store


def _libraries() -> tuple[Any, ...]:
    names = ("s3fs", "aiobotocore.session", "botocore.exceptions", "aiohttp")
    return tuple(importlib.import_module(name) for name in names)


def _options(source: StoreSource) -> dict[str, Any]:
    return {
        "asynchronous": True,
        "skip_instance_cache": True,
        "anon": not source.access_key_id,
        "key": source.access_key_id or None,
        "secret": source.secret_access_key or None,
        "token": source.session_token or None,
        "endpoint_url": endpoint_of(source) or None,
        "client_kwargs": {"region_name": source.region} if source.region else {},
        "config_kwargs": {
            "connect_timeout": 5,
            "read_timeout": 20,
            "max_pool_connections": 32,
            "retries": {"total_max_attempts": 1},
            "s3": {"addressing_style": addressing_of(source)},
            "request_checksum_calculation": "when_required",
            "response_checksum_validation": "when_required",
        },
    }


def endpoint_of(source: StoreSource) -> str:
    """The address of the store, with its scheme."""
    endpoint = source.endpoint.rstrip("/")
    return endpoint if not endpoint or "://" in endpoint else f"https://{endpoint}"


def addressing_of(source: StoreSource) -> str:
    """Whether the bucket is in the path or in the host of an address."""
    host = urlsplit(endpoint_of(source)).hostname or ""
    return source.addressing or ("virtual" if not host or host.endswith(_VIRTUAL) else "path")


class ObjectStore:
    """See `Stores.opened`. Every method raises PrepareFailed, or Changed for what is not what was listed."""

    def __init__(self, source: StoreSource, files: Any, refusals: tuple[type[Exception], ...]) -> None:
        self._source, self._files, self._refusals = source, files, refusals

    @property
    def name(self) -> str:
        """How its owner wrote it."""
        return self._source.name

    async def objects(self) -> list[StoredObject]:
        """Everything below the prefix, in the order of the keys."""
        prefix = f"{self._source.prefix}/" if self._source.prefix else ""
        found: list[StoredObject] = []
        more: dict[str, str] = {}
        while True:
            page = await self._ask("list_objects_v2", self._source.name, Prefix=prefix, **more)
            for each in page.get("Contents", ()):
                path = each["Key"][len(prefix) :]
                etag = each.get("ETag", "").strip('"')
                found.append(StoredObject(path, each["Key"], int(each["Size"]), etag))
            if not page.get("IsTruncated"):
                return found
            more = {"ContinuationToken": page["NextContinuationToken"]}

    async def piece(
        self, of: StoredObject, begin: int, end: int, moved: Callable[[], None] = lambda: None
    ) -> Piece:
        """The bytes from `begin` up to `end`, of the very object that was listed.

        It may take as long as it likes while something comes, of which `moved` is told now and then.
        """

        async def get() -> Piece:
            async with asyncio.timeout(_WITHIN):
                answer = await self._files._call_s3(
                    "get_object",
                    Bucket=self._source.bucket,
                    Key=of.key,
                    Range=f"bytes={begin}-{end - 1}",
                    **({"IfMatch": f'"{of.etag}"'} if of.etag else {}),
                )
            content = await _content(answer["Body"], moved)
            if len(content) != end - begin:
                raise ConnectionError(f"{len(content)} bytes came instead of {end - begin}")
            kms = str(answer.get("ServerSideEncryption", "")).startswith("aws:kms")
            return Piece(content, kms or bool(answer.get("SSECustomerAlgorithm")))

        return await self._again(get, self._name(of.key))

    async def put(self, key: str, content: BinaryIO) -> None:
        """Puts the rest of a file in the place of an object, in one step."""
        first = await asyncio.to_thread(content.read, _UPLOAD_PART)
        second = await asyncio.to_thread(content.read, _UPLOAD_PART)
        if not second:
            await self._ask("put_object", self._name(key), _UPLOADED_WITHIN, Key=key, Body=first)
            return
        upload = await self._ask("create_multipart_upload", self._name(key), Key=key)
        named = {"Key": key, "UploadId": upload["UploadId"]}
        try:
            parts: list[dict[str, Any]] = []
            for part in (first, second):
                parts.append(await self._upload(named, len(parts) + 1, part))
            while part := await asyncio.to_thread(content.read, _UPLOAD_PART):
                parts.append(await self._upload(named, len(parts) + 1, part))
            whole = {"Parts": parts}
            await self._ask("complete_multipart_upload", self._name(key), MultipartUpload=whole, **named)
        except BaseException:
            await asyncio.shield(self._abort(named))
            raise

    async def delete(self, key: str) -> None:
        """Safe to repeat."""
        # Some stores refuse to delete what is not there.
        with suppress(Changed):
            await self._ask("delete_object", self._name(key), Key=key)

    def key_of(self, path: str) -> str:
        """The key of a file below the prefix."""
        return f"{self._source.prefix}/{path}" if self._source.prefix else path

    async def _upload(self, named: dict[str, str], number: int, part: bytes) -> dict[str, Any]:
        name = self._name(named["Key"])
        answer = await self._ask("upload_part", name, _UPLOADED_WITHIN, PartNumber=number, Body=part, **named)
        return {"ETag": answer["ETag"], "PartNumber": number}

    async def _abort(self, named: dict[str, str]) -> None:
        try:
            await self._files._call_s3("abort_multipart_upload", Bucket=self._source.bucket, **named)
        except Exception:
            # The store removes what is left of it by its own rules; the first refusal is the one that tells.
            return

    async def _ask(self, method: str, name: str, within: float = _WITHIN, /, **arguments: Any) -> Any:
        async def ask() -> Any:
            async with asyncio.timeout(within):
                return await self._files._call_s3(method, Bucket=self._source.bucket, **arguments)

        return await self._again(ask, name)

    async def _again(self, call: Callable[[], Awaitable[T]], name: str) -> T:
        waits = iter(_WAITS)
        while True:
            try:
                return await call()
            except self._refusals as error:
                if _was_changed(error):
                    raise Changed(name) from error
                wait = next(waits, None)
                if wait is None or not is_passing(error):
                    raise failure_of(error, name, endpoint_of(self._source)) from error
                await asyncio.sleep(wait)

    def _name(self, key: str) -> str:
        return f"oss://{self._source.bucket}/{key}"


async def _content(body: Any, moved: Callable[[], None]) -> bytes:
    """All of an answer. Raises TimeoutError when nothing more comes for long."""
    parts: list[bytes] = []
    told = time.monotonic()
    async with body:
        while True:
            async with asyncio.timeout(_SILENT_FOR):
                part = await body.read(_READ_AT_ONCE)
            if not part:
                return b"".join(parts)
            parts.append(part)
            if time.monotonic() - told >= _TOLD_EVERY:
                told = time.monotonic()
                moved()


def _was_changed(error: BaseException) -> bool:
    """Whether the object is no longer the one that was listed, or no longer there."""
    response = getattr(error.__cause__, "response", None) or getattr(error, "response", None) or {}
    return response.get("Error", {}).get("Code") in ("PreconditionFailed", "412", "NoSuchKey")
