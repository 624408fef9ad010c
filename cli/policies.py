"""Autoscalers as a command takes them and shows them. Pure."""

import copy
from collections.abc import Mapping
from typing import Any

from libs.domain.errors import InvalidRequest

DEFAULT_MEASURE_SECONDS = 30


def policy_change(values: Mapping[str, object], current: Mapping[str, Any]) -> dict[str, Any]:
    """The `-D` values as a document to merge; an entry of an array is put into the array as it is now.

    Raises `InvalidRequest` for an entry that is not there.
    """
    made: dict[str, Any] = {}
    for path, value in values.items():
        parts = _parts(path)
        at = next((number for number, part in enumerate(parts) if part.isdigit()), len(parts))
        into = made
        for part in parts[: min(at, len(parts)) - 1]:
            into = into.setdefault(part, {})
            if not isinstance(into, dict):
                raise InvalidRequest("-D", path, f"no value for {part} beside it")
        last = parts[min(at, len(parts)) - 1]
        if at == len(parts):
            into[last] = value
        else:
            before = into.get(last, copy.deepcopy(_found(current, parts[:at])) or [])
            into[last] = _with_entry(before, parts[at:], value, path)
    return made


def _parts(path: str) -> list[str]:
    """The path at its dots, but not at those in the name of a custom metric: `strategies.custom[a.b]`."""
    parts, depth, word = [], 0, ""
    for sign in path:
        depth += (sign == "[") - (sign == "]")
        if sign == "." and not depth:
            parts.append(word)
            word = ""
        else:
            word += sign
    return [*parts, word]


def _found(document: Any, parts: list[str]) -> Any:
    for part in parts:
        document = document.get(part) if isinstance(document, Mapping) else None
    return document


def _with_entry(entries: Any, parts: list[str], value: object, path: str) -> list[Any]:
    first, *rest = parts
    if not isinstance(entries, list) or int(first) > len(entries):
        most = len(entries) if isinstance(entries, list) else 0
        raise InvalidRequest("-D", path, f"an entry from 0 to {most} instead of {first}")
    place, listed = int(first), [*entries]
    if value is None and not rest:
        return [*listed[:place], *listed[place + 1 :]]
    if place == len(listed):
        listed.append({})
    listed[place] = value if not rest else {**listed[place], ".".join(rest): value}
    return listed


def strategies_of(policy: Mapping[str, Any]) -> list[tuple[str, float, str]]:
    """Each metric with its threshold, and of which other service it is; both forms as one list."""
    given = policy.get("scaleStrategies") or ()
    listed = [
        (str(each["metricName"]), float(each["threshold"]), each.get("service") or "") for each in given
    ]
    return [*listed, *((name, float(at), "") for name, at in (policy.get("strategies") or {}).items())]


def named(metric: str, of: str) -> str:
    """What a load calls a metric: with the service that it is of, where a policy names one."""
    return f"{metric} of {of}" if of else metric


def measure_seconds(policy: Mapping[str, Any]) -> int:
    """Over how long metrics are measured."""
    return int((policy.get("behavior") or {}).get("measureSeconds", DEFAULT_MEASURE_SECONDS))


def is_total(metric: str) -> bool:
    """Whether it is counted for the service as a whole."""
    from libs.spec import metric_names

    return metric_names.is_total(metric)


def size_warning(service: str, policy: Mapping[str, Any]) -> str:
    """What may become of a size that a user sets for a service with a policy."""
    return f"{service} has an autoscaler: it may change the size again, from {bounds_text(policy)}"


def bounds_text(policy: Mapping[str, Any]) -> str:
    return f"{policy.get('min', 1)} to {policy.get('max', 10)}"
