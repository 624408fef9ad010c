"""The requests that gateways hold until an instance is there, by service."""

from collections.abc import Callable, Iterable
from types import MappingProxyType

from easel.gateway.v1 import gateway_pb2

_NONE: MappingProxyType[str, gateway_pb2.ServiceWaiting] = MappingProxyType({})


class WaitingRequests:
    """Each connection of a gateway says its level; that of one that leaves is forgotten."""

    def __init__(self) -> None:
        self._said: dict[str, dict[str, gateway_pb2.ServiceWaiting]] = {}
        self._listeners: list[Callable[[set[str]], None]] = []

    def on_changed(self, listener: Callable[[set[str]], None]) -> None:
        """`listener` is told the services of which other numbers wait."""
        self._listeners.append(listener)

    def of(self, service: str) -> int:
        """How many wait at all gateways together."""
        return sum(each.requests for each in self.levels(service))

    def levels(self, service: str) -> list[gateway_pb2.ServiceWaiting]:
        """What the gateways that have something to say of it said last."""
        return [said[service] for said in self._said.values() if service in said]

    def said(self, key: str, levels: Iterable[gateway_pb2.ServiceWaiting]) -> None:
        """A connection says who waits there; an empty level when it is over."""
        before = self._said.pop(key, _NONE)
        after = {each.service: each for each in levels}
        if after:
            self._said[key] = after
        names = before.keys() | after.keys()
        changed = {name for name in names if before.get(name) != after.get(name)}
        for listener in self._listeners if changed else ():
            listener(changed)
