"""Which parts of a service.json no running instance depends on: only gateways and the scheduler read them."""

from collections.abc import Mapping
from typing import Any

_OUTSIDE: tuple[tuple[str, ...], ...] = (
    ("token",),
    ("generate_token",),
    ("networking",),
    ("autoscaler",),
    ("cronScaler",),
    ("metadata", "group"),
    ("metadata", "gateway"),
    ("metadata", "instance"),
    ("metadata", "enable_webservice"),
    ("metadata", "resource_burstable"),
    ("metadata", "resource_rebalancing"),
    ("metadata", "rolling_strategy"),
    ("metadata", "rpc", "keepalive"),
    ("metadata", "rpc", "rate_limit"),
)
# The engine of a processor has these; a program in an image does not know of them.
_OF_THE_ENGINE: tuple[tuple[str, ...], ...] = (
    ("metadata", "rpc", "max_queue_size"),
    ("metadata", "rpc", "worker_threads"),
)


def running_part(document: Mapping[str, Any]) -> dict[str, Any]:
    """A canonical document without what does not reach an instance: instances of two documents of which this
    is equal do the same."""
    paths = _OUTSIDE if document.get("processor") else (*_OUTSIDE, *_OF_THE_ENGINE)
    part = dict(document)
    for path in paths:
        part = _without(part, path)
    return part


def _without(document: dict[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
    key, *rest = path
    if key not in document:
        return document
    kept = {name: value for name, value in document.items() if name != key}
    if rest and isinstance(document[key], dict):
        inner = _without(document[key], tuple(rest))
        # An object of which nothing is left is as if it were not there.
        return {**kept, key: inner} if inner else kept
    return kept
