"""One command's conversation with the scheduler."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from contextvars import ContextVar
from typing import TYPE_CHECKING, TypeVar

from cli.settings import cli_settings

if TYPE_CHECKING:
    from easel_sdk import AsyncEasel

T = TypeVar("T")

_ELSEWHERE = "see that Easel runs there and that this machine reaches it, or `easel context use` another"
_ANOTHER = "`easel context set NAME --token TOKEN` keeps another in the context"

_chosen: ContextVar[str] = ContextVar("chosen context", default="")


def choose_context(name: str) -> None:
    """Makes the command that runs use the context called `name`; empty means the current one."""
    _chosen.set(name)


def chosen() -> str:
    """The context that the command was told to use; empty means the current one."""
    return _chosen.get()


def alone(nodes: int) -> bool:
    """Whether the context is of an Easel in one process on this machine, which no other node has joined."""
    from easel_sdk.context import current_context

    context = current_context(chosen())
    host = context.scheduler.rpartition(":")[0]
    return bool(context.data_dir) and nodes <= 1 and host in ("127.0.0.1", "[::1]", "localhost")


def with_easel(work: Callable[["AsyncEasel"], Awaitable[T]], name: str = "command") -> T:
    """Runs `work` with a client of the chosen context, as one span when traces are on."""

    async def conversation() -> T:
        from easel_sdk.aio import AsyncEasel
        from easel_sdk.context import current_context
        from easel_sdk.errors import NoContext, NoScheduler, Unauthenticated
        from libs.telemetry.traces import configure_traces

        context = current_context(chosen())
        if not context.token:
            raise NoContext(
                "the context has no token; `easel context set NAME --token TOKEN` keeps one in it"
            )
        with configure_traces("easel-cli", cli_settings().otlp_endpoint) as traces:
            async with AsyncEasel.of(context, tuple(traces.client_interceptors())) as easel:
                with traces.span(f"easel {name}"):
                    try:
                        return await work(easel)
                    except NoScheduler as away:
                        if context.data_dir:
                            raise
                        raise NoScheduler(away.address, _ELSEWHERE) from away
                    except Unauthenticated as refused:
                        raise Unauthenticated(f"{refused}; {_ANOTHER}") from refused

    return asyncio.run(conversation())


async def listed(items: AsyncIterator[T], most: int = 0) -> list[T]:
    """The items as a list: all, or the first `most`."""
    found: list[T] = []
    async with aclosing(items) as stream:  # type: ignore[type-var]
        async for item in stream:
            found.append(item)
            if most and len(found) >= most:
                break
    return found
