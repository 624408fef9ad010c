"""One life of an Envoy: what it counted so far, and what of that is in the totals.

Its messages come in parts, once a second; `read` takes each part, `settle` brings the whole to totals and
windows.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from easel.envoy.v1 import envoy_metrics_pb2 as pb
from services.metrics import latency
from services.metrics.envoy_names import BESIDE, UNDER_WAY, Kind, meaning
from services.metrics.totals import TOGETHER, WIDTH, Floats, Key, Totals, growth

GAUGES = 2
_CELLS = WIDTH + GAUGES
_IGNORED = -1
_NEVER = -1
_KINDS = len(Kind)
# A cluster that is in so many whole messages of an Envoy not told of is gone from it.
_GONE_AFTER = 10
# Two looks at when an Envoy started may differ by whole seconds, and by how long a message was on its way.
_SAME_START_S = 3.0
# A life that was not heard of for a day does not come back; nor do more than these of one name, of which one
# that crashes as it starts has thousands a day.
_FORGOTTEN_AFTER_S = 86_400.0
_MOST_OF_A_NAME = 100
# From one message to the next.
_USUAL_S = 1.0


@dataclass
class Settled:
    """What one second of an Envoy came to: `grown` and `gauges` of `keys`, and the durations of requests by
    service, `histograms[n, bucket or sum]`, from `begin` to `end`."""

    keys: list[Key]
    grown: Floats
    gauges: Floats
    services: list[str]
    histograms: Floats
    begin: float
    end: float


@dataclass
class Remembered:
    """What is kept of a life over a restart of metrics."""

    node: str
    word: str
    started_at: float
    heard_at: float
    keys: list[Key]
    last: Floats = field(repr=False)


class EnvoyLife:
    """`node` is the name that the Envoy gives itself, `word` one of this start alone, where it has such a
    word; `started_at` is reckoned from its uptime.
    """

    def __init__(self, node: str, word: str = "") -> None:
        self.node, self.word = node, word
        self.gateway = node.removesuffix("-envoy")
        # Known with its first message: `begin`, or `continue_from`.
        self.started_at = self.heard_at = 0.0
        self.uptime: float | None = None
        self._keys: list[Key] = []
        # By block: the counters as they were last, and what they grew since `settle`.
        self._last = np.zeros((0, WIDTH))
        self._grown = np.zeros((0, WIDTH))
        self._blocks: dict[Key, int] = {}
        self._known: dict[str, int] = {}
        self._cells: list[float] = []
        # After which of its messages each number was told last, and in which each block. Its uptime is in
        # each of them once, after all counters, in however many parts one comes, and however slowly.
        self._round = 0
        self._told: list[int] = []
        self._heard: list[int] = []
        # Blocks of which something was kept that the first message lacks: it may have come in half.
        self._unsure: set[int] = set()
        self._begun = False
        self._places: NDArray[np.intp] = np.zeros(0, dtype=np.intp)
        self._edition = -1
        self._histograms: dict[int, list[pb.Histogram]] = {}

    def begin(self, at: float) -> None:
        """Says that the first message came at `at`: what it counted is of the time since its start."""
        self.started_at = self.heard_at = at - (self.uptime or 0.0)

    def read(self, families: Iterable[pb.MetricFamily]) -> None:
        """Takes a part of a message."""
        known, cells, told, now = self._known, self._cells, self._told, self._round
        for family in families:
            code = known.get(family.name)
            if code is None:
                code = self._learn(family.name)
            if code < 0:
                continue
            kind, cell = code % _KINDS, code // _KINDS
            metric = family.metric[0]
            if kind == Kind.COUNTER:
                cells[cell] = metric.counter.value
                told[cell] = now
            elif kind == Kind.GAUGE:
                cells[cell] = metric.gauge.value
                told[cell] = now
            elif kind == Kind.UPTIME:
                self.uptime = metric.gauge.value
                self._round = now = now + 1
                if self._begun:
                    self._take()
            elif metric.histogram.sample_count:
                self._histograms.setdefault(cell // _CELLS, []).append(metric.histogram)

    def settle(self, totals: Totals, at: float) -> Settled:
        """Adds to `totals` what was counted since the time before, and says what that was."""
        if not self._begun:
            self._begun = True
            self._take()
        self._make_room()
        gauges = self._table(self._cells)[:, WIDTH:]
        grown, self._grown = self._grown, np.zeros_like(self._grown)
        places = self._find_places(totals, grown)
        shown = np.zeros_like(grown)
        shown[places >= 0] = totals.add(places[places >= 0], grown[places >= 0])
        services, histograms = self._durations()
        settled = Settled(list(self._keys), shown, gauges, services, histograms, self.heard_at, at)
        self.heard_at = max(at, self.heard_at)
        self._drop_what_is_gone()
        return settled

    def in_flight(self) -> Iterator[tuple[Key, float]]:
        """How many requests each cluster works on or waits for."""
        for block, key in enumerate(self._keys):
            if key.kind == "cluster":
                gauges = block * _CELLS + WIDTH
                yield key, self._cells[gauges + UNDER_WAY] + self._cells[gauges + BESIDE]

    def remembered(self) -> Remembered:
        """What to keep of it over a restart."""
        last = self._last - self._grown
        return Remembered(self.node, self.word, self.started_at, self.heard_at, self._keys[: len(last)], last)

    def exceeds(self, remembered: Remembered) -> bool:
        """Whether no number it told is lower than what is remembered: it may be the same life."""
        for key, last in zip(remembered.keys, remembered.last, strict=True):
            block = self._blocks.get(key)
            if block is not None:
                now = np.array(self._cells[block * _CELLS : block * _CELLS + WIDTH])
                if (now < last).any():
                    return False
        return True

    def continue_from(self, remembered: Remembered, at: float) -> None:
        """Takes what is remembered for what this life told before the first message, which came at `at`."""
        blocks = [self._block(key) for key in remembered.keys]
        self._make_room()
        self._last[blocks] = remembered.last
        self.started_at, self.heard_at = remembered.started_at, remembered.heard_at
        if self.heard_at >= at:
            # The clock was set back meanwhile: windows do not stand still until it is there again.
            self.heard_at = at - _USUAL_S
        for block, last in zip(blocks, remembered.last.tolist(), strict=True):
            for cell, number in enumerate(last, start=block * _CELLS):
                if number > 0 and self._told[cell] == _NEVER:
                    self._cells[cell], self._told[cell] = number, self._round - 1
                    self._unsure.add(block)

    def _take(self) -> None:
        """Takes the counters of a message that is whole.

        Envoy tells each number that was ever used for as long as it has it. One that is not told any more is
        gone, and should it come again, it counts from nothing.
        """
        self._make_room()
        table, told = self._table(self._cells), self._table(self._told)
        gone = (told != _NEVER) & (told < self._round - 1)
        for cell in np.flatnonzero(gone):
            self._cells[cell], self._told[cell] = 0.0, _NEVER
        table[gone] = 0
        counters, gone = table[:, :WIDTH], gone[:, :WIDTH]
        self._last[gone] = 0
        self._last[gone[:, TOGETHER].any(axis=1)] = 0
        unsure = list(self._unsure)
        counters[unsure] = self._last[unsure]
        self._unsure.clear()
        self._grown += growth(self._last, counters)
        self._last = counters
        self._heard = np.maximum(self._heard, told.max(axis=1)).astype(int).tolist()

    def _table(self, cells: list[float] | list[int]) -> Floats:
        return np.array(cells, dtype=float).reshape(-1, _CELLS)

    def _make_room(self) -> None:
        missing = len(self._keys) - len(self._last)
        if missing:
            self._last = np.pad(self._last, ((0, missing), (0, 0)), constant_values=np.nan)
            self._grown = np.pad(self._grown, ((0, missing), (0, 0)))

    def _learn(self, name: str) -> int:
        found = meaning(name)
        if found is None:
            code = _IGNORED
        elif found.kind is Kind.UPTIME:
            code = int(found.kind)
        else:
            block = self._block(Key(self.gateway, *found.block))
            beyond = WIDTH if found.kind is Kind.GAUGE else 0
            code = (block * _CELLS + beyond + found.place) * _KINDS + found.kind
        self._known[name] = code
        return code

    def _block(self, key: Key) -> int:
        block = self._blocks.get(key)
        if block is None:
            block = self._blocks[key] = len(self._keys)
            self._keys.append(key)
            self._cells.extend([0.0] * _CELLS)
            self._told.extend([_NEVER] * _CELLS)
            self._heard.append(self._round)
        return block

    def _find_places(self, totals: Totals, grown: Floats) -> NDArray[np.intp]:
        """Where the blocks are in `totals`; -1 for one of what is forgotten, of which nothing new is told."""
        if self._edition != totals.edition or len(self._places) != len(self._keys):
            self._places = np.array([totals.find(key) for key in self._keys], dtype=np.intp)
            self._edition = totals.edition
        for block in np.flatnonzero((self._places < 0) & grown.any(axis=1)):
            self._places[block] = totals.place(self._keys[block])
        return self._places

    def _durations(self) -> tuple[list[str], Floats]:
        found, self._histograms = self._histograms, {}
        services = [self._keys[block].service for block, several in found.items() for _ in several]
        return services, latency.from_envoy([each for several in found.values() for each in several])

    def _drop_what_is_gone(self) -> None:
        kept = [n for n, heard in enumerate(self._heard) if heard > self._round - _GONE_AFTER]
        if len(kept) == len(self._keys):
            return
        self._keys = [self._keys[n] for n in kept]
        self._last, self._grown = self._last[kept], self._grown[kept]
        self._heard = [self._heard[n] for n in kept]
        cells = [cell for n in kept for cell in range(n * _CELLS, (n + 1) * _CELLS)]
        self._cells, self._told = [self._cells[n] for n in cells], [self._told[n] for n in cells]
        self._blocks = {key: number for number, key in enumerate(self._keys)}
        self._known, self._edition = {}, -1


def may_come_back(lives: Iterable[Remembered], at: float) -> list[Remembered]:
    """Those that are worth keeping, the newest first."""
    kept: list[Remembered] = []
    of_a_name: Counter[str] = Counter()
    for each in sorted(lives, key=lambda life: life.heard_at, reverse=True):
        of_a_name[each.node] += 1
        if each.heard_at > at - _FORGOTTEN_AFTER_S and of_a_name[each.node] <= _MOST_OF_A_NAME:
            kept.append(each)
    return kept


def same_life(lives: Iterable[Remembered], life: EnvoyLife, at: float) -> Remembered | None:
    """Which of these `life`, whose first message came at `at`, goes on from; None when it is a new one.

    It is the one of its word. Without a word it is one that started at the same time; or, as clocks may
    have been set meanwhile, one during which it ran, and none of whose numbers it falls behind. Of several
    that started together it is the one that counted most of those that it does not fall behind: should it be
    another's, no sum is wrong for that.
    """
    started_at = at - (life.uptime or 0.0)
    mine = [each for each in lives if each.node == life.node and each.word == life.word]
    if life.word:
        return mine[0] if mine else None
    together = [each for each in mine if abs(each.started_at - started_at) <= _SAME_START_S]
    if together:
        ahead_of = [each for each in together if life.exceeds(each)] or together
        return max(ahead_of, key=lambda known: float(np.nansum(known.last)))
    for each in sorted(mine, key=lambda known: abs(known.started_at - started_at)):
        if (life.uptime or 0.0) >= at - each.heard_at and life.exceeds(each):
            return each
    return None
