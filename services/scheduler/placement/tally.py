"""How many instances of one service each node row holds."""

import numpy as np
from numpy.typing import NDArray

# Up to here a loop over the rows is cheaper than a vector; beyond, the vector is kept up to date.
SPARSE_ROWS = 64


class Tally:
    """Counts by row: a dict while the service is on few nodes, a vector beside it once it is on many."""

    def __init__(self) -> None:
        self.by_row: dict[int, int] = {}
        self._vector: NDArray[np.int64] | None = None

    def add(self, row: int, count: int) -> None:
        left = self.by_row.get(row, 0) + count
        if left:
            self.by_row[row] = left
        else:
            del self.by_row[row]
        if self._vector is not None and row < len(self._vector):
            self._vector[row] = left

    def vector(self, rows: int) -> NDArray[np.int64]:
        """The counts of rows 0 to `rows`, not to be written to."""
        if self._vector is not None and len(self._vector) == rows:
            return self._vector
        vector = np.zeros(rows, np.int64)
        for row, count in self.by_row.items():
            vector[row] = count
        self._vector = vector if len(self.by_row) > SPARSE_ROWS else None
        return vector
