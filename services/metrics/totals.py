"""Sums that outlive those who count. Pure: no clock, no file.

A source counts up from its start and says how far it came; a total is what all its lives came to. As the last
number of each life is kept beside the totals, in one and the same state, it does not matter when the one who
keeps them is started anew: what was told meanwhile is in the next number.

Counters come in blocks, such as those of one cluster of an Envoy.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
# Counters of one block: as many as a cluster has.
WIDTH = 12
# Counters of a block of a cluster, by their place.
REQUESTS, ANSWERED, STATUS_2XX, STATUS_3XX, STATUS_4XX, STATUS_5XX = range(6)
OVERFLOWED, TIMED_OUT, GRPC_OK, GRPC_FAILED, BYTES_IN, BYTES_OUT = range(6, 12)
# Those that Envoy makes together with a cluster, and a gateway's, with a listener.
TOGETHER = (REQUESTS, ANSWERED, OVERFLOWED, TIMED_OUT, BYTES_IN, BYTES_OUT)
# Of a block of a gateway.
CAME_IN, CAME_5XX = range(2)
# Of a block of refusals.
REFUSED = 0


def growth(last: Floats, now: Floats) -> Floats:
    """How much each counter of `now[block, counter]` grew since `last`; NaN in `last` is a block never seen.

    A counter that fell counts from nothing. With one of those that are made together the whole block does:
    the others begin anew by themselves as well, where a bound or the like of a living cluster is changed.
    """
    fell: NDArray[np.bool_] = now < last
    anew = np.logical_or(fell[:, TOGETHER].any(axis=1), np.isnan(last).any(axis=1))
    return np.where(np.logical_or(fell, anew[:, None]), now, now - last)


def by_class(raw: Floats) -> Floats:
    """Counters of clusters as they are shown: with answers that the gateway gave for a limit among 4xx.

    Envoy counts the gateway's own 408, 429 and 450 as the 504 and 503 that they were at first, and a call of
    gRPC that it refused both as a 503 and as a failed call.
    """
    shown = raw.copy()
    told = np.minimum(raw[:, OVERFLOWED] + raw[:, TIMED_OUT], raw[:, STATUS_5XX])
    shown[:, STATUS_4XX] += told
    shown[:, STATUS_5XX] = np.maximum(0, raw[:, STATUS_5XX] - told - raw[:, GRPC_FAILED])
    return shown


@dataclass(frozen=True, order=True)
class Key:
    """Which block: of a gateway's clusters ("cluster", "echo/3"), of what it refused before it chose a
    version ("refused", "echo", and why), or of itself ("gateway").
    """

    gateway: str
    kind: str
    name: str = ""
    why: str = ""

    @property
    def service(self) -> str:
        """The service that is counted; empty for the gateway itself."""
        return self.name.rpartition("/")[0] if self.kind == "cluster" else self.name


class Totals:
    """Totals by block. `raw` is what was counted, `shown` what is said of it, which never falls."""

    def __init__(self) -> None:
        self.keys: list[Key | None] = []
        # Changes when a block is gone or moved: places that were remembered are to be looked up anew.
        self.edition = 0
        self._places: dict[Key, int] = {}
        self._free: list[int] = []
        self.raw: Floats = np.zeros((0, WIDTH))
        self.shown: Floats = np.zeros((0, WIDTH))
        # How many looks found nobody telling of the block at a place.
        self._silent: NDArray[np.intp] = np.zeros(0, dtype=np.intp)

    def find(self, key: Key) -> int:
        """The place of a block, -1 where there is none."""
        return self._places.get(key, -1)

    def place(self, key: Key) -> int:
        """The place of a block, a new one, of zeros, if it has none."""
        found = self._places.get(key)
        if found is not None:
            return found
        if self._free:
            place = self._free.pop()
            self.keys[place] = key
        else:
            place = len(self.keys)
            self.keys.append(key)
            if place >= len(self.raw):
                room = max(16, place + place // 2) - len(self.raw)
                self.raw = np.pad(self.raw, ((0, room), (0, 0)))
                self.shown = np.pad(self.shown, ((0, room), (0, 0)))
                self._silent = np.pad(self._silent, (0, room))
        self._places[key] = place
        self._silent[place] = 0
        return place

    def add(self, places: NDArray[np.intp], grown: Floats) -> Floats:
        """Adds growth to blocks, each named once; how much what is shown of them grew."""
        self._silent[places] = 0
        raw = self.raw[places] + grown
        self.raw[places] = raw
        before = self.shown[places]
        # What is told apart from two counters may be one step ahead of one of them.
        shown = np.maximum(before, by_class(raw))
        self.shown[places] = shown
        return shown - before

    def items(self) -> Iterable[tuple[Key, int]]:
        """Every block and its place."""
        return self._places.items()

    def silent(self, looks: int) -> list[Key]:
        """One more look: the blocks of which nobody told, not even that they stayed, at so many in a row."""
        self._silent += 1
        found = (self.keys[place] for place in np.flatnonzero(self._silent[: len(self.keys)] >= looks))
        return [key for key in found if key is not None]

    def forget(self, gone: Callable[[Key], bool]) -> None:
        """Drops the blocks for which `gone` says so."""
        for key in [each for each in self._places if gone(each)]:
            place = self._places.pop(key)
            self.keys[place] = None
            self.raw[place] = self.shown[place] = 0
            self._free.append(place)
            self.edition += 1
