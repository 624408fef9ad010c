"""What of a GPU is not a number with a window."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class GpuState:
    """As its agent last told it. Errors count from the agent's start."""

    uuid: str
    node: str
    index: int
    model: str
    healthy: bool = True
    throttle_reasons: tuple[str, ...] = ()
    # None for a card that does not count them.
    ecc_corrected: int | None = None
    ecc_uncorrected: int | None = None
    xids: Mapping[int, int] = field(default_factory=dict)
    instances: tuple[str, ...] = ()


class GpuStates(dict[str, GpuState]):
    """The newest state of each GPU, by UUID."""
