"""Pages of a sorted listing. A page token is the last key shown, so that inserts never repeat a row."""

import base64
import binascii
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TypeVar

from libs.domain.errors import InvalidRequest
from libs.domain.records import Event

T = TypeVar("T")
DEFAULT_PAGE, LARGEST_PAGE = 100, 1000


def page_size(asked: int) -> int:
    """The page size to use: 100 when none is asked for, never more than 1,000."""
    return min(asked or DEFAULT_PAGE, LARGEST_PAGE)


def page(rows: Iterable[T], key: Callable[[T], str], size: int, token: str) -> tuple[list[T], str]:
    """The rows after `token` in the order of `key`, and the next token, "" at the end.

    Raises InvalidRequest.
    """
    after = _decoded(token)
    rest = sorted((row for row in rows if key(row) > after), key=key)
    shown = rest[: page_size(size)]
    more = len(rest) > len(shown)
    return shown, encoded(key(shown[-1])) if more else ""


def encoded(key: str) -> str:
    return base64.urlsafe_b64encode(key.encode()).decode()


def _decoded(token: str) -> str:
    try:
        return base64.urlsafe_b64decode(token.encode()).decode()
    except (binascii.Error, UnicodeError) as wrong:
        raise InvalidRequest("page_token", token, "a next_page_token of an earlier answer") from wrong


async def event_page(
    events: Callable[..., Awaitable[Sequence[Event]]], size: int, token: str
) -> tuple[Sequence[Event], str]:
    """The events before `token`, newest first, and the next token, "" at the end. Raises InvalidRequest.

    `events` is what the store is asked with, all but the bounds.
    """
    most = page_size(size)
    rows = await events(before_id=_event_id(token), limit=most + 1)
    shown = rows[:most]
    return shown, encoded(str(shown[-1].id)) if len(rows) > most else ""


def _event_id(token: str) -> int:
    """The event id that an events page token stands for, 0 for none. Raises InvalidRequest."""
    key = _decoded(token)
    # Digits of other scripts are digits too, and no database counts further than 18 of them.
    if key and not (key.isascii() and key.isdigit() and len(key) <= 18):
        raise InvalidRequest("page_token", token, "a next_page_token of an earlier answer")
    return int(key or 0)
