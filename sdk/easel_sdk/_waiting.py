"""Asynchronous methods for code that does not await: run on an event loop in a thread of its own."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from functools import wraps
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar

T = TypeVar("T")
P = ParamSpec("P")
Inner = TypeVar("Inner")


class Loop:
    """An event loop in a daemon thread."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="easel-sdk", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        future = asyncio.run_coroutine_threadsafe(work, self.loop)
        try:
            return future.result()
        except KeyboardInterrupt:
            future.cancel()
            raise

    def all(self, items: AsyncIterator[T]) -> list[T]:
        async def collected() -> list[T]:
            return [item async for item in items]

        return self.run(collected())

    def each(self, items: AsyncIterator[T]) -> Iterator[T]:
        """The items as they come; the stream ends when the iterator is closed or dropped."""

        async def following() -> T | None:
            return await anext(items, None)

        async def ended() -> None:
            await items.aclose()  # type: ignore[attr-defined]

        try:
            while (item := self.run(following())) is not None:
                yield item
        finally:
            self.run(ended())

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


class Waiting(Generic[Inner]):
    """Something asynchronous, whose methods below are called without awaiting."""

    def __init__(self, loop: Loop, inner: Inner) -> None:
        self._loop, self._inner = loop, inner


def awaited(
    method: Callable[Concatenate[Inner, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[Waiting[Inner], P], T]:
    """The method with the same arguments; it returns when the awaited one has."""

    @wraps(method)
    def called(self: Waiting[Inner], /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self._loop.run(method(self._inner, *args, **kwargs))

    return called


def collected(
    method: Callable[Concatenate[Inner, P], AsyncIterator[T]],
) -> Callable[Concatenate[Waiting[Inner], P], list[T]]:
    """The method with the same arguments; it returns all items as a list."""

    @wraps(method)
    def called(self: Waiting[Inner], /, *args: P.args, **kwargs: P.kwargs) -> list[T]:
        return self._loop.all(method(self._inner, *args, **kwargs))

    return called


def followed(
    method: Callable[Concatenate[Inner, P], AsyncIterator[T]],
) -> Callable[Concatenate[Waiting[Inner], P], Iterator[T]]:
    """The method with the same arguments; it returns an iterator that ends when it is closed or dropped."""

    @wraps(method)
    def called(self: Waiting[Inner], /, *args: P.args, **kwargs: P.kwargs) -> Iterator[T]:
        return self._loop.each(method(self._inner, *args, **kwargs))

    return called
