"""The one nested form of a document: dotted keys opened, no null members, the name in `metadata`."""

from collections.abc import Mapping

from libs.spec.document import same
from libs.spec.refusal import Path, refused
from libs.spec.shape import Kind, Node, root

_SCALAR = Node(Kind.SCALAR)
_OPENED = (Kind.OBJECT, Kind.FREE)


def canonical(document: Mapping[str, object]) -> dict[str, object]:
    """The nested form of plain JSON. Raises InvalidSpec where two spellings of one key disagree."""
    return _lift_name(_open(document, root(), (), keep_null=False))


def canonical_change(change: Mapping[str, object]) -> dict[str, object]:
    """The nested form of an update, in which a null member stays, since it removes what is stored."""
    return _lift_name(_open(change, root(), (), keep_null=True))


def _open(source: Mapping[str, object], node: Node, path: Path, *, keep_null: bool) -> dict[str, object]:
    opened: dict[str, object] = {}
    for written, given in source.items():
        if given is None and not keep_null:
            continue
        key, value = _split(written, given, node)
        place = (*path, key)
        nested = _open_value(value, node.keys.get(key, _SCALAR), place, keep_null=keep_null)
        opened[key] = _united(opened[key], nested, place) if key in opened else nested
    return opened


def _split(key: str, value: object, node: Node) -> tuple[str, object]:
    """Opens one level of a dotted key whose first word is a known object."""
    head, dot, rest = key.partition(".")
    branch = node.keys.get(head)
    if key in node.keys or not dot or branch is None or branch.kind not in _OPENED:
        return key, value
    return head, {rest: value}


def _open_value(value: object, node: Node, path: Path, *, keep_null: bool) -> object:
    match value:
        case dict() if node.kind is Kind.OBJECT:
            return _open(value, node, path, keep_null=keep_null)
        case list() if node.kind is Kind.ARRAY:
            return [
                _open(item, node, (*path, index), keep_null=False) if isinstance(item, dict) else item
                for index, item in enumerate(value)
            ]
    return _kept(value, keep_null=keep_null)


def _kept(value: object, *, keep_null: bool) -> object:
    """A value whose keys are the user's own: dots stay, and a null member is absent here too."""
    match value:
        case dict():
            return {
                key: _kept(member, keep_null=keep_null)
                for key, member in value.items()
                if keep_null or member is not None
            }
        case list():
            return [_kept(item, keep_null=False) for item in value]
    return value


def _united(first: object, second: object, path: Path) -> object:
    """One value out of two spellings of a key: objects are joined, anything else must be equal."""
    if isinstance(first, dict) and isinstance(second, dict):
        joined = dict(first)
        for key, value in second.items():
            joined[key] = _united(joined[key], value, (*path, key)) if key in joined else value
        return joined
    if same(first, second):
        return first
    raise refused(path, second, "the same value in the dotted and in the nested spelling of the key")


def _lift_name(document: dict[str, object]) -> dict[str, object]:
    if "name" not in document:
        return document
    rest = {key: value for key, value in document.items() if key != "name"}
    metadata = rest.get("metadata", {})
    if not isinstance(metadata, dict):
        return rest
    name = document["name"]
    if "name" in metadata and not same(metadata["name"], name):
        raise refused(("metadata", "name"), metadata["name"], f"the top-level name, {str(name)[:80]!r}")
    return {**rest, "metadata": {"name": name, **metadata}}
