"""Everything that went wrong with GPUs since the agent started. It is told as a level, again and again."""

import threading
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime

from libs.domain.gpu_troubles import GpuTrouble, TroubleKind


class Troubles:
    """Kept by card, also while the driver is away. Safe to use from any thread."""

    def __init__(self, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: dict[tuple[str, TroubleKind, int], GpuTrouble] = {}

    def heard_xid(self, card: str, xid: int) -> None:
        """The driver told of an error."""
        with self._lock:
            known = self._kept.get((card, TroubleKind.XID, xid))
            self._keep(card, TroubleKind.XID, xid, known.count + 1 if known else 1)

    def read_ecc(self, card: str, errors: int) -> None:
        """The driver's own count of errors that it could not correct; it begins anew with the driver."""
        key = (card, TroubleKind.UNCORRECTABLE_ECC, 0)
        with self._lock:
            known = self._kept.get(key)
            if not errors:
                self._kept.pop(key, None)
            elif known is None or known.count != errors:
                self._keep(*key, errors)

    def lost_now(self, cards: Iterable[str]) -> None:
        """These cards cannot be reached, and all others can."""
        lost = set(cards)
        with self._lock:
            known = {card for card, kind, _ in self._kept if kind is TroubleKind.LOST}
            for card in known - lost:
                del self._kept[card, TroubleKind.LOST, 0]
            for card in lost - known:
                self._keep(card, TroubleKind.LOST, 0, 1)

    def xids(self, card: str) -> tuple[int, ...]:
        """The codes heard of the card, in the order in which they first came."""
        with self._lock:
            return tuple(xid for each, kind, xid in self._kept if (each, kind) == (card, TroubleKind.XID))

    def xid_counts(self, card: str) -> dict[int, int]:
        """How often each code was heard of the card."""
        with self._lock:
            kept = tuple(self._kept.values())
        return {each.xid: each.count for each in kept if (each.uuid, each.kind) == (card, TroubleKind.XID)}

    def told(self, devices: Mapping[str, Iterable[str]]) -> tuple[GpuTrouble, ...]:
        """All there is, for each device of the card it happened to: a card may be split into several."""
        with self._lock:
            kept = tuple(self._kept.values())
        return tuple(
            GpuTrouble(device, each.kind, each.xid, each.count, each.at)
            for each in kept
            for device in devices.get(each.uuid, (each.uuid,))
        )

    def _keep(self, card: str, kind: TroubleKind, xid: int, count: int) -> None:
        self._kept[card, kind, xid] = GpuTrouble(card, kind, xid, count, self._clock())
