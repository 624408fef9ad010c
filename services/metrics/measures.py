"""Which numbers can be asked for: their names, of what kinds of things they are, and their units.

docs/METRICS.md shows this table. The names are also those of metrics in scaling policies.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from libs.domain.errors import InvalidRequest

LONGEST_S = 3600
# A percentile of fewer seconds would be one of a handful of requests.
LEAST_LATENCY_S = 10


class Kind(StrEnum):
    """What a number is of."""

    SERVICE = "service"
    INSTANCE = "instance"
    NODE = "node"
    GPU = "gpu"
    GATEWAY = "gateway"


@dataclass(frozen=True)
class Entry:
    """One row of the table. `name` is what stands before a `[`; `arguments` what may stand in it."""

    name: str
    kinds: tuple[Kind, ...]
    unit: str
    about: str
    arguments: tuple[str, ...] = ()


_S, _I, _N, _G, _W = Kind.SERVICE, Kind.INSTANCE, Kind.NODE, Kind.GPU, Kind.GATEWAY
PERCENTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99}
CLASSES = ("2xx", "3xx", "4xx", "5xx")

MEASURES: tuple[Entry, ...] = (
    Entry("qps", (_S, _W), "requests/s", "Requests that came in; those that limits refused are not counted."),
    Entry(
        "qps1k", (_S,), "requests/1000 s", "The same, times 1000: for thresholds below one request a second."
    ),
    Entry("concurrency", (_S,), "requests", "In flight and waiting together."),
    Entry("in_flight", (_S, _W), "requests", "That instances are working on."),
    Entry("waiting", (_S,), "requests", "That gateways hold until an instance is ready."),
    Entry(
        "rt", (_S,), "ms", "From request to end of answer; over ten seconds at least.", (*PERCENTILES, "avg")
    ),
    Entry("errors", (_S, _W), "answers/s", "Answers with status 5xx, and calls of gRPC that failed."),
    Entry("error_rate", (_S,), "0 to 1", "Their share of all answers."),
    Entry("status", (_S,), "answers/s", "Answers by class of status.", CLASSES),
    Entry("refused", (_S,), "requests/s", "That a limit or a bound of the gateway refused."),
    Entry("bytes_in", (_S,), "bytes/s", "Sent to instances."),
    Entry("bytes_out", (_S,), "bytes/s", "Received from instances."),
    Entry(
        "cpu", (_S, _I, _N), "percent", "Of what an instance asks for, else of one core; of a node's cores."
    ),
    Entry(
        "memory", (_S, _I, _N, _G), "percent", "Of what an instance asks for, else of its node; of the whole."
    ),
    Entry("memory_bytes", (_S, _I), "bytes", "Memory in use by an instance."),
    Entry("gpu", (_S, _I), "percent", "Time in which a kernel ran; `gpu` alone means the same.", ("util",)),
    Entry("gpu_memory", (_S, _I), "percent", "Memory of an instance's GPUs that is in use."),
    Entry("custom", (_S, _I), "its own", "What the program posts: custom[NAME], custom[NAME]@TAG[VALUE]."),
    Entry("instances", (_S,), "instances", "That are ready."),
    Entry("wanted", (_S,), "instances", "That there are to be."),
    Entry("connections", (_I, _W), "connections", "Open to an instance's port, or to a gateway."),
    Entry("disk", (_N,), "percent", "Of the file system of the agent's data."),
    Entry("net_in", (_N,), "bytes/s", "Received by the node."),
    Entry("net_out", (_N,), "bytes/s", "Sent by the node."),
    Entry("util", (_G,), "percent", "Time in which a kernel ran."),
    Entry("power", (_G,), "watts", "Power drawn."),
    Entry("temperature", (_G,), "°C", "Temperature."),
)

_SHAPE = re.compile(
    r"(?P<name>[a-z0-9_]+)(?:\[(?P<argument>[^\[\]]+)\])?(?:@(?P<tag>[^@\[\]]+)\[(?P<value>[^\[\]]*)\])?"
)
_BY_NAME = {entry.name: entry for entry in MEASURES}
# What a name alone stands for.
_ALONE = {"gpu": "util"}


@dataclass(frozen=True)
class Measure:
    """What is asked for. `text` is how it was written, and how the answer names it."""

    text: str
    name: str
    argument: str = ""
    tag: str = ""
    tag_value: str = ""

    @property
    def full(self) -> str:
        """As it is written with everything that it stands for."""
        tagged = f"@{self.tag}[{self.tag_value}]" if self.tag else ""
        return (f"{self.name}[{self.argument}]" if self.argument else self.name) + tagged


def parse_measure(text: str, kind: Kind, field: str = "measure") -> Measure:
    """The measure of `kind` that `text` names. Raises `InvalidRequest` with what may stand there. Pure."""
    found = _SHAPE.fullmatch(text)
    entry = _BY_NAME.get(found["name"]) if found else None
    if found is None or entry is None or kind not in entry.kinds:
        raise InvalidRequest(field, text, f"a measure of kind {kind}: {', '.join(names_of(kind))}")
    argument = found["argument"] or _ALONE.get(entry.name, "")
    _check_argument(entry, argument, text, field)
    if found["tag"] and entry.name != "custom":
        raise InvalidRequest(field, text, f"{entry.name!r} without a tag; only custom metrics have some")
    return Measure(text, entry.name, argument, found["tag"] or "", found["value"] or "")


def names_of(kind: Kind) -> list[str]:
    """Every measure of the kind, as it is written."""
    return [name for entry in MEASURES if kind in entry.kinds for name in _written(entry)]


def parse_kind(text: str, field: str = "kind") -> Kind:
    """The kind that `text` names. Raises `InvalidRequest`."""
    try:
        return Kind(text)
    except ValueError:
        raise InvalidRequest(field, text, f"one of {', '.join(Kind)}") from None


def check_window(seconds: int, field: str, least: int = 0, most: int = LONGEST_S) -> None:
    """Raises `InvalidRequest` for more than is kept."""
    if not least <= seconds <= most:
        raise InvalidRequest(field, seconds, f"{least} to {most} seconds")


def _check_argument(entry: Entry, argument: str, text: str, field: str) -> None:
    if entry.name == "custom":
        if not argument:
            raise InvalidRequest(field, text, "the name of the metric in brackets, such as custom[tokens]")
    elif entry.arguments and argument not in entry.arguments:
        raise InvalidRequest(field, text, f"one of {', '.join(_written(entry))}")
    elif argument and not entry.arguments:
        raise InvalidRequest(field, text, f"{entry.name!r} without brackets")


def _written(entry: Entry) -> Iterable[str]:
    if entry.name == "custom":
        return ("custom[NAME]",)
    return [f"{entry.name}[{argument}]" for argument in entry.arguments] or (entry.name,)
