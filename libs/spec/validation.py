"""The one place where the validator's findings become refusals in the words of service.json."""

from collections.abc import Mapping

from pydantic import ValidationError

from libs.domain.errors import InvalidSpec
from libs.spec.refusal import NOTHING, Path, refused
from libs.spec.service import ServiceSpec
from libs.spec.shape import Node, root

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


def _first_refusal(error: ValidationError) -> InvalidSpec:
    problem = error.errors(include_url=False)[0]
    kind, path = problem["type"], problem["loc"]
    if kind == "missing":
        return refused(path, NOTHING, _words_at(path) or _REQUIRED)
    expected = problem["ctx"]["words"] if kind == "expected" else _EXPECTED_OF.get(kind, problem["msg"])
    return refused(path, problem["input"], expected)


def _words_at(path: Path) -> str | None:
    node: Node | None = root()
    for part in path:
        if isinstance(part, str) and node is not None:
            node = node.keys.get(part)
    return node.words if node is not None else None
