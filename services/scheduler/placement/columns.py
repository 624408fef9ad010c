"""All nodes as vectors, one per property: what a rule's column form reads. Row number = node."""

from enum import IntEnum
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from libs.domain.records import Node
from libs.domain.states import NodeState
from services.scheduler.placement.names import model_matches
from services.scheduler.placement.tally import Tally

Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]
Scalar = TypeVar("Scalar", bound=np.generic)


class Standing(IntEnum):
    """Whether a node takes new instances, and if not, why."""

    ABSENT = 0
    OPEN = 1
    LOST = 2
    SUSPECT = 3
    DRAINING = 4
    CORDONED = 5
    RECLAIMED = 6


def standing(node: Node) -> Standing:
    """The gravest of what keeps a node from taking instances."""
    if node.state is NodeState.LOST:
        return Standing.LOST
    if node.state is NodeState.SUSPECT:
        return Standing.SUSPECT
    if node.draining:
        return Standing.DRAINING
    if node.reclaim_at is not None:
        return Standing.RECLAIMED
    return Standing.OPEN if node.schedulable else Standing.CORDONED


class Columns:
    """Vectors of one length. Written by `Snapshot` alone; rules read."""

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self.standing = np.zeros(rows, np.int8)
        self.open = np.zeros(rows, np.bool_)
        self.group = np.zeros(rows, np.int32)
        self.zone = np.zeros(rows, np.int32)
        self.free_cpu = np.zeros(rows, np.int64)
        self.free_memory = np.zeros(rows, np.int64)
        self.free_disk = np.zeros(rows, np.int64)
        # The larger of the CPU and memory shares that are held, in percent.
        self.load = np.zeros(rows, np.int64)
        self.free_gpus = np.zeros(rows, np.int64)
        # 1 where the node has no healthy GPU; 1 where an instance holds one of its GPUs.
        self.gpuless = np.zeros(rows, np.int64)
        self.gpus_in_use = np.zeros(rows, np.int64)
        # GPUs that are there and not to be used: unhealthy, or fenced.
        self.gpus_out = np.zeros(rows, np.int64)
        self.driver = np.zeros(rows, np.int32)
        self.instance_type = np.zeros(rows, np.int32)
        # 1 where the node is no spot node; what a node costs an hour, infinite where that is not known.
        self.firm = np.zeros(rows, np.bool_)
        self.price = np.zeros(rows, np.float64)
        self.spot_nodes = 0
        self.hands_out_ports = np.zeros(rows, np.bool_)
        self.free_ports = np.zeros(rows, np.int64)
        # Grows toward the front of the alphabet; the last word between equal nodes.
        self.tie_break = np.zeros(rows, np.int64)
        self.free_by_model: dict[str, Ints] = {}
        self.has_image: dict[str, Mask] = {}
        self.has_cuda: dict[str, Mask] = {}
        self.taken_ports: list[frozenset[int]] = [frozenset()] * rows
        self.groups: dict[str, int] = {}
        self.zones: dict[str, int] = {}
        self.drivers: dict[str, int] = {}
        self.types: dict[str, int] = {}
        self.services: dict[str, Tally] = {}

    def grow(self) -> None:
        """Makes room for more rows, an eighth at a time."""
        more = max(8, self.rows // 8)
        for name, column in vars(self).items():
            if isinstance(column, np.ndarray):
                setattr(self, name, _longer(column, more))
        self.free_by_model = {name: _longer(each, more) for name, each in self.free_by_model.items()}
        self.has_image = {name: _longer(each, more) for name, each in self.has_image.items()}
        self.has_cuda = {name: _longer(each, more) for name, each in self.has_cuda.items()}
        self.taken_ports.extend([frozenset()] * more)
        self.rows += more

    def model(self, model: str) -> Ints:
        """The column of free GPUs of one model, made when first asked for."""
        return self.free_by_model.setdefault(model, np.zeros(self.rows, np.int64))

    def image(self, image: str) -> Mask:
        """The column of nodes that have an image, made when first asked for."""
        return self.has_image.setdefault(image, np.zeros(self.rows, np.bool_))

    def cuda(self, version: str) -> Mask:
        """The column of nodes that can mount a version of CUDA, made when first asked for."""
        return self.has_cuda.setdefault(version, np.zeros(self.rows, np.bool_))

    def free_of_model(self, asked: str) -> Ints:
        """Free healthy GPUs by row, of the models that the words asked for name; of any for no words."""
        if not asked:
            return self.free_gpus
        matching = [free for model, free in self.free_by_model.items() if model_matches(asked, model)]
        if len(matching) == 1:
            return matching[0]
        return np.sum(matching, axis=0, dtype=np.int64) if matching else np.zeros(self.rows, np.int64)


def _longer(column: NDArray[Scalar], more: int) -> NDArray[Scalar]:
    return np.concatenate([column, np.zeros(more, column.dtype)])
