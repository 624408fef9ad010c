"""What one gateway is to serve, by name, and when each of it changed last."""

from collections.abc import Callable, Iterator
from itertools import takewhile

# Removed names that are remembered for gateways that are about to hear of it.
_REMOVALS = 10_000


class Journal:
    """Names in the order of their generations, so that the newest are found without looking at the rest."""

    def __init__(self) -> None:
        self._changed_at: dict[str, int] = {}
        self._removed_at: dict[str, int] = {}
        # Removals up to this generation are no longer remembered.
        self._forgotten = 0

    def __contains__(self, name: str) -> bool:
        return name in self._changed_at

    def __iter__(self) -> Iterator[str]:
        return iter(self._changed_at)

    def __len__(self) -> int:
        return len(self._changed_at)

    def put(self, name: str, generation: int) -> None:
        """It is there, and differs from before."""
        self._changed_at.pop(name, None)
        self._changed_at[name] = generation
        self._removed_at.pop(name, None)

    def drop(self, name: str, generation: int) -> None:
        """It is not there any more."""
        if self._changed_at.pop(name, None) is None:
            return
        self._removed_at.pop(name, None)
        self._removed_at[name] = generation
        if len(self._removed_at) > _REMOVALS:
            self._forgotten = self._removed_at.pop(next(iter(self._removed_at)))

    def changed_at(self, name: str, otherwise: int) -> int:
        """The generation at which it changed last; `otherwise` where it is not there."""
        return self._changed_at.get(name, otherwise)

    def tells(self, generation: int) -> bool:
        """Whether it is known all that was removed after this generation."""
        return generation >= self._forgotten

    def changed_after(self, generation: int) -> list[str]:
        return _newer(self._changed_at, generation)

    def removed_after(self, generation: int) -> list[str]:
        return _newer(self._removed_at, generation)


class Audience:
    """What all connections of one gateway are told: those under its name, or those of its node."""

    def __init__(self, name: str, node: str = "") -> None:
        self.name, self.node = name, node
        self.services, self.groups = Journal(), Journal()
        # Services with an instance on the node, or that had one until lately.
        self.direct: set[str] = set()
        # The generation at which what an operator set for it changed last.
        self.settings_at = 0
        self._listeners: list[Callable[[], None]] = []

    def subscribe(self, listener: Callable[[], None]) -> Callable[[], None]:
        """`listener` is told when there is something newer. Call the result to leave."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def tells(self, generation: int) -> bool:
        """Whether it is known all that was removed after this generation."""
        return self.services.tells(generation) and self.groups.tells(generation)

    def tell(self) -> None:
        for listener in tuple(self._listeners):
            listener()


def _newer(at: dict[str, int], generation: int) -> list[str]:
    """The names at the end of `at` whose generation is newer than `generation`."""
    return list(takewhile(lambda name: at[name] > generation, reversed(at)))
