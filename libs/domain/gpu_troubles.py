"""What goes wrong with a GPU, as its agent notes it and the scheduler judges it."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class TroubleKind(StrEnum):
    """The ways in which a GPU fails. What each means is for the scheduler to say."""

    XID = "Xid"
    UNCORRECTABLE_ECC = "UncorrectableEcc"
    LOST = "GpuLost"


@dataclass(frozen=True)
class GpuTrouble:
    """One way in which one GPU failed: how often so far, and when last."""

    uuid: str
    kind: TroubleKind
    xid: int = 0
    count: int = 0
    at: datetime | None = None
