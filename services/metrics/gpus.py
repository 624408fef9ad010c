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
    ecc_corrected: int = 0
    ecc_uncorrected: int = 0
    xids: Mapping[int, int] = field(default_factory=dict)
    instances: tuple[str, ...] = ()


class GpuStates(dict[str, GpuState]):
    """The newest state of each GPU, by UUID."""
