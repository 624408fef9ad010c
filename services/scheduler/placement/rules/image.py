"""An instance starts sooner where its image is already present."""

import numpy as np

from services.scheduler.placement.ask import Ask
from services.scheduler.placement.columns import Columns, Ints
from services.scheduler.placement.framework import MAX_SCORE
from services.scheduler.placement.names import image_key
from services.scheduler.placement.node_view import NodeView


class ImagePresent:
    """All points for a node that has the image."""

    name = "image"

    def __init__(self, weight: int) -> None:
        self._weight = weight

    def weight(self, ask: Ask) -> int:
        return self._weight if ask.image else 0

    def score(self, ask: Ask, node: NodeView) -> int:
        return MAX_SCORE * (image_key(ask.image) in {image_key(each) for each in node.node.images})

    def scores(self, ask: Ask, columns: Columns) -> Ints:
        present = columns.has_image.get(image_key(ask.image))
        if present is None:
            return np.zeros(columns.rows, np.int64)
        return present * np.int64(MAX_SCORE)
