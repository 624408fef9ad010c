"""How far a transfer is. It changes every moment and is never stored."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True)
class Progress:
    """How far a transfer is; 0 for what is not known."""

    what: str
    done_bytes: int = 0
    total_bytes: int = 0
    bytes_per_second: int = 0

    @property
    def left(self) -> timedelta | None:
        """How long it takes still, at this rate; None while nobody can say."""
        if not self.bytes_per_second or not self.total_bytes:
            return None
        return timedelta(seconds=max(0, self.total_bytes - self.done_bytes) / self.bytes_per_second)

    @property
    def quarters(self) -> int:
        """Whole quarters that are done, 0 to 3; the end is told by what comes after."""
        return min(3, 4 * self.done_bytes // self.total_bytes) if self.total_bytes else 0
