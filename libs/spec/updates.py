"""The two ways in which an update changes a stored service.json."""

from collections.abc import Mapping

from libs.spec.canonical import canonical, canonical_change
from libs.spec.document import load

Document = str | bytes | Mapping[str, object]


def merge_update(current: Mapping[str, object], change: Document) -> dict[str, object]:
    """`current` with `change` merged in, in nested form: objects member by member, arrays as a whole,
    null removes. Applying the same change again changes nothing. The result is not validated.

    Raises InvalidSpec for a change that is not JSON, or contradicts itself.
    """
    return _merged(canonical(load(current)), canonical_change(load(change)))


def replace_update(current: Mapping[str, object], replacement: Document) -> dict[str, object]:
    """`replacement` in nested form, under the name of `current` unless it names itself. Not validated.

    Raises InvalidSpec for a replacement that is not JSON, or contradicts itself.
    """
    stored, fresh = canonical(load(current)), canonical(load(replacement))
    old, new = stored.get("metadata"), fresh.get("metadata", {})
    if isinstance(old, dict) and isinstance(new, dict) and "name" in old and "name" not in new:
        return {**fresh, "metadata": {"name": old["name"], **new}}
    return fresh


def _merged(current: Mapping[str, object], change: Mapping[str, object]) -> dict[str, object]:
    merged = dict(current)
    for key, value in change.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, dict):
            stored = merged.get(key)
            merged[key] = _merged(stored if isinstance(stored, dict) else {}, value)
        else:
            merged[key] = value
    return merged
