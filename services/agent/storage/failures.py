"""What stores, repositories and disks refuse with, as sentences with a cause."""

import errno
from typing import Any

from libs.domain.causes import Cause
from services.agent.runtime.port import PrepareFailed

_DENIED = {"AccessDenied", "InvalidToken", "InvalidAccessKeyId", "SignatureDoesNotMatch", "403", "401"}
_BUSY = {"SlowDown", "ServiceUnavailable", "InternalError", "RequestTimeout"}
_SERVER_ERROR = 500
# Of the libraries below, which are imported only where they are needed: no answer came, or half of one.
_BROKE_OFF = {
    "HTTPClientError",
    "ConnectionError",
    "IncompleteReadError",
    "ClientConnectionError",
    "ClientPayloadError",
}


class Changed(PrepareFailed):
    """An object is no longer what was listed."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name}: it was changed while it was read")


def is_passing(error: BaseException) -> bool:
    """Whether asking again may help: the store is away, busy, or broke off."""
    if isinstance(error, FileNotFoundError | PermissionError | Changed):
        return False
    code, status = _answer(error)
    if code:
        return code in _BUSY or status >= _SERVER_ERROR
    return isinstance(error, OSError) or any(kind.__name__ in _BROKE_OFF for kind in type(error).__mro__)


def failure_of(error: BaseException, name: str, endpoint: str) -> PrepareFailed:
    """Of a store's refusal, after the last try."""
    code, _ = _answer(error)
    said = _words(error, code)
    where = endpoint or "the store of its region"
    if isinstance(error, FileNotFoundError):
        return PrepareFailed(f"{name}: {where} has no such bucket or object: {said}", Cause.STORAGE_NOT_FOUND)
    if isinstance(error, PermissionError) or code in _DENIED:
        return PrepareFailed(f"{name}: {where} refuses the access: {said}", Cause.STORAGE_ACCESS_DENIED)
    if is_passing(error):
        return PrepareFailed(f"{name}: {where} cannot be reached: {said}", Cause.STORAGE_UNREACHABLE)
    return PrepareFailed(f"{name}: {where} refused: {said}")


def disk_failure(error: OSError, name: str) -> PrepareFailed:
    """Of what the node's disk refused while `name` was fetched."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return PrepareFailed(f"{name}: the disk of the node is full", Cause.NO_SPACE)
    return PrepareFailed(f"{name}: the disk of the node refused: {error}")


def _answer(error: BaseException) -> tuple[str, int]:
    """The code and the HTTP status that the store answered with; empty where there was no answer."""
    for each in (error, error.__cause__):
        response: Any = getattr(each, "response", None)
        if isinstance(response, dict):
            status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
            return str(response.get("Error", {}).get("Code", "")), int(status)
    return "", 0


def _words(error: BaseException, code: str) -> str:
    said = " ".join(str(error).split())[:300] or type(error).__name__
    return f"{said} ({code})" if code and code not in said else said
