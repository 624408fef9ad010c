"""`-D PATH=VALUE`: single values, and where they go in a service.json. Pure."""

import copy
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from libs.domain.errors import InvalidRequest

_BRACKETS = re.compile(r"\[(\d+)\]")
# Objects whose keys are the user's own, and may be numbers.
_OF_ANY_KEY = ("labels", "features")
_HIDDEN = "********"


def value_of(text: str) -> object:
    """JSON where it is JSON, else the text itself: `3`, `true`, `"3"`, `40Gi`."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def reaches_into_arrays(values: Mapping[str, object]) -> bool:
    """Whether a path may name an entry of an array, which a merge cannot do by itself."""
    return any(part.isdigit() for path in values for part in _parts(path))


def spelled_out(values: Mapping[str, object], spec: Mapping[str, Any]) -> dict[str, object]:
    """The values as a merge takes them: those inside an array put into the whole of it, as `spec` has it.

    A number in a path counts the entries of an array from 0; the number after the last one adds an entry,
    null removes one. Raises `InvalidRequest` for an entry that is not there.
    """
    made: dict[str, object] = {}
    for path, value in values.items():
        parts = _parts(path)
        at = _array_at(parts, spec)
        if at is None:
            made[path] = value
            continue
        head = ".".join(parts[:at])
        before = _found(spec, parts[:at]) or []
        array: Any = made[head] if head in made else copy.deepcopy(before)
        _put(array, parts[at:], value, path)
        if len(before) != len(array) and _HIDDEN in json.dumps(array):
            raise InvalidRequest("-D", path, f"the whole of {head}, since it has values that are not shown")
        made[head] = array
    return made


def _parts(path: str) -> list[str]:
    return _BRACKETS.sub(r".\1", path).split(".")


def _found(spec: Any, parts: Sequence[str]) -> Any:
    for part in parts:
        spec = spec.get(part) if isinstance(spec, Mapping) else None
    return spec


def _array_at(parts: Sequence[str], spec: Mapping[str, Any]) -> int | None:
    """Where in the path the number of an array's entry is; None when the path is through objects alone."""
    at = next((number for number, part in enumerate(parts) if part.isdigit()), None)
    if not at or isinstance(_found(spec, parts[:at]), Mapping):
        return None
    found = _found(spec, parts[:at])
    if isinstance(found, list) or (found is None and parts[at] == "0" and parts[0] not in _OF_ANY_KEY):
        return at
    if found is None and parts[0] in _OF_ANY_KEY:
        return None
    head = ".".join(parts[:at])
    raise InvalidRequest("-D", ".".join(parts), f"an array at {head}; there is none, so begin with 0")


def _put(into: Any, parts: Sequence[str], value: object, path: str) -> None:
    first, *rest = parts
    if isinstance(into, list):
        if not first.isdigit() or int(first) > len(into):
            raise InvalidRequest("-D", path, f"an entry from 0 to {len(into)} instead of {first!r}")
        place = int(first)
        if place == len(into):
            into.append({})
        if rest:
            _put(into[place], rest, value, path)
        elif value is None:
            del into[place]
        else:
            into[place] = value
    elif not isinstance(into, dict):
        raise InvalidRequest("-D", path, f"an object or an array before {first!r}")
    elif rest:
        inner = into.get(first)
        if not isinstance(inner, dict | list):
            inner = into[first] = [] if rest[0].isdigit() else {}
        _put(inner, rest, value, path)
    elif value is None:
        into.pop(first, None)
    else:
        into[first] = value
