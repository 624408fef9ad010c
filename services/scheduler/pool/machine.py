"""What a node's labels say of it: its type, its price an hour, whether it is a spot machine. Pure."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from libs.domain.records import Node, ResourceGroup

TYPE = "easel/instance-type"
PRICE = "easel/price"
SPOT = "easel/spot"

_HIGHEST_PRICE = 1_000_000
_WORDS = {"true": True, "false": False, "": False}


@dataclass(frozen=True)
class Trouble:
    """A label that cannot be read."""

    label: str
    value: str
    expected: str

    def __str__(self) -> str:
        return f"label {self.label} is {self.value!r}, expected {self.expected}"


@dataclass(frozen=True)
class Machine:
    """`price` is None where it is not known."""

    instance_type: str = ""
    price: float | None = None
    spot: bool = False
    troubles: tuple[Trouble, ...] = ()


PLAIN = Machine()


def machine_of(labels: Mapping[str, str]) -> Machine:
    """A label that cannot be read is as one that is not there, and said in `troubles`."""
    if not (TYPE in labels or PRICE in labels or SPOT in labels):
        return PLAIN
    troubles = []
    price = _price(labels.get(PRICE, ""))
    if price is None and labels.get(PRICE):
        troubles.append(Trouble(PRICE, labels[PRICE], "a price an hour of 0 or more, such as 0.35"))
    spot = _WORDS.get(labels.get(SPOT, "").strip().lower())
    if spot is None:
        troubles.append(Trouble(SPOT, labels[SPOT], "true or false"))
    return Machine(labels.get(TYPE, "").strip(), price, bool(spot), tuple(troubles))


def pool_of(node: Node, group: ResourceGroup | None) -> str:
    """What an instance on the node is counted under: "dedicated", "spot" or "public"."""
    if group is not None and group.kind == "dedicated":
        return "dedicated"
    return "spot" if machine_of(node.labels).spot else "public"


def _price(text: str) -> float | None:
    try:
        price = float(text)
    except ValueError:
        return None
    return price if math.isfinite(price) and 0 <= price <= _HIGHEST_PRICE else None
