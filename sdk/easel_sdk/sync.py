"""The synchronous client: the asynchronous one, on an event loop in a thread of its own."""

import asyncio
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from easel_sdk.aio import CALL_DEADLINE, PREDICT_DEADLINE, AsyncEasel
from easel_sdk.context import Context, current_context
from easel_sdk.services import Spec
from easel_sdk.types import (
    Draining,
    Event,
    Instance,
    NewToken,
    Node,
    Prediction,
    ResourceGroup,
    Service,
    ServiceChange,
    ServiceVersion,
    Token,
    Written,
)

if TYPE_CHECKING:
    from easel_sdk.predict import TokenForm

T = TypeVar("T")


class _Loop:
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


class Easel:
    """One Easel, for code that does not await. Use it as a context manager, or call `close`.

    Calls may come from several threads. Lists are complete; watches and logs are iterators.
    """

    def __init__(
        self, scheduler: str, token: str, *, gateway: str = "", deadline: timedelta = CALL_DEADLINE
    ) -> None:
        """`scheduler` is "host:port"; `gateway` a URL, asked of the scheduler when empty."""
        self._loop = _Loop()

        async def opened() -> AsyncEasel:
            return AsyncEasel(scheduler, token, gateway=gateway, deadline=deadline)

        self._easel = self._loop.run(opened())
        self.services = Services(self._loop, self._easel)
        self.instances = Instances(self._loop, self._easel)
        self.nodes = Nodes(self._loop, self._easel)
        self.resource_groups = ResourceGroups(self._loop, self._easel)
        self.events = Events(self._loop, self._easel)
        self.tokens = Tokens(self._loop, self._easel)

    @classmethod
    def from_context(cls, name: str = "", path: Path | None = None) -> Self:
        """The Easel of the context file. Raises `NoContext` when there is none to take."""
        return cls.of(current_context(name, path))

    @classmethod
    def of(cls, context: Context) -> Self:
        return cls(context.scheduler, context.token, gateway=context.gateway)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._loop.run(self._easel.close())
        self._loop.close()

    def predict(
        self,
        service: str,
        data: bytes | str = b"",
        *,
        path: str = "",
        headers: Mapping[str, str] | None = None,
        method: str = "POST",
        form: "TokenForm | None" = None,
        deadline: timedelta = PREDICT_DEADLINE,
        token: str | None = None,
    ) -> Prediction:
        """Calls a service through the gateway, whatever status it answers with."""
        return self._loop.run(
            self._easel.predict(
                service,
                data,
                path=path,
                headers=headers,
                method=method,
                form=form,
                deadline=deadline,
                token=token,
            )
        )


class _Part:
    def __init__(self, loop: _Loop, easel: AsyncEasel) -> None:
        self._loop, self._easel = loop, easel


class Services(_Part):
    """See `easel_sdk.services.AsyncServices`."""

    def create(self, spec: Spec, *, idempotency_key: str = "") -> Written:
        return self._loop.run(self._easel.services.create(spec, idempotency_key=idempotency_key))

    def get(self, name: str) -> Service:
        return self._loop.run(self._easel.services.get(name))

    def update(self, name: str, spec: Spec, *, replace: bool = False, if_revision: int = 0) -> Written:
        return self._loop.run(
            self._easel.services.update(name, spec, replace=replace, if_revision=if_revision)
        )

    def roll_to(self, name: str, version: int) -> Written:
        return self._loop.run(self._easel.services.roll_to(name, version))

    def delete(self, name: str) -> None:
        self._loop.run(self._easel.services.delete(name))

    def start(self, name: str) -> Service:
        return self._loop.run(self._easel.services.start(name))

    def stop(self, name: str) -> Service:
        return self._loop.run(self._easel.services.stop(name))

    def restart(self, name: str) -> Service:
        return self._loop.run(self._easel.services.restart(name))

    def scale(self, name: str, instances: int, *, why: str = "") -> Service:
        return self._loop.run(self._easel.services.scale(name, instances, why=why))

    def versions(self, name: str) -> "list[ServiceVersion]":
        return self._loop.all(self._easel.services.versions(name))

    def token(self, name: str) -> str:
        return self._loop.run(self._easel.services.token(name))

    def watch(self, name: str = "") -> Iterator[ServiceChange]:
        return self._loop.each(self._easel.services.watch(name))

    def list(self, *, containing: str = "", labels: Mapping[str, str] | None = None) -> "list[Service]":
        return self._loop.all(self._easel.services.list(containing=containing, labels=labels))


class Instances(_Part):
    """See `easel_sdk.instances.AsyncInstances`."""

    def get(self, instance_id: str) -> Instance:
        return self._loop.run(self._easel.instances.get(instance_id))

    def delete(self, instance_id: str) -> None:
        self._loop.run(self._easel.instances.delete(instance_id))

    def logs(self, instance_id: str, *, follow: bool = False, tail: int = 100) -> Iterator[bytes]:
        return self._loop.each(self._easel.instances.logs(instance_id, follow=follow, tail=tail))

    def list(self, *, service: str = "", node: str = "") -> "list[Instance]":
        return self._loop.all(self._easel.instances.list(service=service, node=node))


class Nodes(_Part):
    """See `easel_sdk.nodes.AsyncNodes`."""

    def get(self, name: str) -> Node:
        return self._loop.run(self._easel.nodes.get(name))

    def update(
        self, name: str, *, resource_group: str | None = None, labels: Mapping[str, str] | None = None
    ) -> Node:
        return self._loop.run(self._easel.nodes.update(name, resource_group=resource_group, labels=labels))

    def delete(self, name: str) -> None:
        self._loop.run(self._easel.nodes.delete(name))

    def cordon(self, name: str, *, why: str = "") -> Node:
        return self._loop.run(self._easel.nodes.cordon(name, why=why))

    def uncordon(self, name: str) -> Node:
        return self._loop.run(self._easel.nodes.uncordon(name))

    def drain(self, name: str, *, why: str = "") -> Draining:
        return self._loop.run(self._easel.nodes.drain(name, why=why))

    def list(self, *, resource_group: str = "") -> "list[Node]":
        return self._loop.all(self._easel.nodes.list(resource_group=resource_group))


class ResourceGroups(_Part):
    """See `easel_sdk.nodes.AsyncResourceGroups`."""

    def get(self, name: str) -> ResourceGroup:
        return self._loop.run(self._easel.resource_groups.get(name))

    def create(self, name: str, *, kind: str = "dedicated") -> ResourceGroup:
        return self._loop.run(self._easel.resource_groups.create(name, kind=kind))

    def update(self, name: str, *, kind: str) -> ResourceGroup:
        return self._loop.run(self._easel.resource_groups.update(name, kind=kind))

    def delete(self, name: str) -> None:
        self._loop.run(self._easel.resource_groups.delete(name))

    def list(self) -> "list[ResourceGroup]":
        return self._loop.all(self._easel.resource_groups.list())


class Events(_Part):
    """See `easel_sdk.events.AsyncEvents`."""

    def watch(self, *, service: str = "", subject: str = "", after_id: int = 0) -> Iterator[Event]:
        return self._loop.each(self._easel.events.watch(service=service, subject=subject, after_id=after_id))

    def list(self, *, service: str = "", subject: str = "") -> "list[Event]":
        return self._loop.all(self._easel.events.list(service=service, subject=subject))


class Tokens(_Part):
    """See `easel_sdk.tokens.AsyncTokens`."""

    def create(self, name: str, *, role: str = "admin") -> NewToken:
        return self._loop.run(self._easel.tokens.create(name, role=role))

    def delete(self, token_id: str) -> None:
        self._loop.run(self._easel.tokens.delete(token_id))

    def list(self) -> "list[Token]":
        return self._loop.all(self._easel.tokens.list())
