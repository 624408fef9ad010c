"""The requests that gateways hold until an instance is there, by service."""

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType

from easel.gateway.v1 import gateway_pb2

Level = gateway_pb2.ServiceWaiting
_NONE: Mapping[str, Level] = MappingProxyType({})


class WaitingRequests:
    """Each connection of a gateway says its level; that of one that leaves is forgotten."""

    def __init__(self) -> None:
        self._said: dict[str, Mapping[str, Level]] = {}
        self._changed: list[Callable[[set[str]], None]] = []
        self._released: list[Callable[[int, Level], None]] = []

    def on_changed(self, listener: Callable[[set[str]], None]) -> None:
        """`listener` is told the services of which other numbers wait."""
        self._changed.append(listener)

    def on_released(self, listener: Callable[[int, Level], None]) -> None:
        """`listener` is told how many requests a gateway has let go on, and what it says of their service."""
        self._released.append(listener)

    def of(self, service: str) -> int:
        """How many wait at all gateways together."""
        return sum(said[service].requests for said in self._said.values() if service in said)

    def said(self, key: str, levels: Iterable[Level]) -> None:
        """A connection says who waits there; an empty level when it is over."""
        known = self._said.pop(key, None)
        before, after = known if known is not None else _NONE, {each.service: each for each in levels}
        if after:
            self._said[key] = after
        names = before.keys() | after.keys()
        changed = {name for name in names if _requests(before, name) != _requests(after, name)}
        for listener in self._changed if changed else ():
            listener(changed)
        # Of a connection that is new it is not known what its gateway has counted before.
        for level in after.values() if known is not None else ():
            more = level.released - (before[level.service].released if level.service in before else 0)
            for told in self._released if more > 0 else ():
                told(more, level)


def _requests(levels: Mapping[str, Level], service: str) -> int:
    return levels[service].requests if service in levels else 0
