"""The one place where the validator's findings become refusals in the words of service.json."""

from collections.abc import Mapping
from typing import TypeVar

from pydantic import ValidationError

from libs.domain.errors import InvalidSpec
from libs.spec.refusal import NOTHING, Path, refused
from libs.spec.section import Section
from libs.spec.service import ServiceSpec
from libs.spec.shape import Node, root
from libs.spec.suggestions import misspelt

Part = TypeVar("Part", bound=Section)
_EXPECTED_OF = {
    "model_type": "an object",
    "dict_type": "an object",
    "tuple_type": "an array",
}
_REQUIRED = "a value, since this key is required"


def validated(document: Mapping[str, object]) -> ServiceSpec:
    """The typed form of a canonical document. Raises InvalidSpec for the first value of a wrong kind."""
    try:
        return ServiceSpec.model_validate(document)
    except ValidationError as error:
        raise _first_refusal(error) from None


def validated_part(kind: type[Part], key: str, document: object) -> Part:
    """The typed form of what stands under one key of a canonical document. Raises InvalidSpec."""
    try:
        return kind.model_validate(document)
    except ValidationError as error:
        raise _first_refusal(error, key) from None


def _first_refusal(error: ValidationError, *within: str) -> InvalidSpec:
    problem = error.errors(include_url=False)[0]
    kind, path = problem["type"], (*within, *problem["loc"])
    if kind == "missing":
        return refused(
            path, NOTHING, f"{_words_at(path) or _REQUIRED}{other_spelling(path, problem['input'])}"
        )
    expected = problem["ctx"]["words"] if kind == "expected" else _EXPECTED_OF.get(kind, problem["msg"])
    return refused(path, problem["input"], expected)


def other_spelling(path: Path, around: object) -> str:
    """What to say where the key is there in another spelling."""
    key, node = path[-1], _node_at(path[:-1])
    if not isinstance(key, str) or not isinstance(around, dict) or node is None:
        return ""
    spelt = misspelt(key, (each for each in around if isinstance(each, str)), node)
    return f"; the key is written {key}, not {spelt[:80]}" if spelt is not None else ""


def _words_at(path: Path) -> str | None:
    node = _node_at(path)
    return node.words if node is not None else None


def _node_at(path: Path) -> Node | None:
    node: Node | None = root()
    for part in path:
        if isinstance(part, str) and node is not None:
            node = node.keys.get(part)
    return node
