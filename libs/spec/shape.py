"""Which keys service.json has and how they nest, read off the models."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cache
from types import UnionType
from typing import Annotated, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from libs.spec.scalars import Expected
from libs.spec.section import Section
from libs.spec.service import ServiceSpec


class Kind(StrEnum):
    """What a value is, as far as nesting goes."""

    SCALAR = "scalar"  # also arrays of scalars
    OBJECT = "object"  # keys are known
    ARRAY = "array"  # of objects whose keys are known
    FREE = "free"  # keys are the user's own


@dataclass(frozen=True)
class Node:
    """A place in the document. `keys` is filled for objects and arrays of objects; `words` say what a
    scalar should be, where one kind of value is expected."""

    kind: Kind
    keys: Mapping[str, "Node"] = field(default_factory=dict)
    words: str | None = None


@cache
def root() -> Node:
    """The shape of a whole document; `name` may stand at the top as well as in `metadata`."""
    shape = _shape_of(ServiceSpec, Kind.OBJECT)
    return Node(Kind.OBJECT, {**shape.keys, "name": Node(Kind.SCALAR)})


def paths(node: Node, prefix: str = "") -> Iterator[tuple[str, Node]]:
    """Every known path below `node`, such as `containers[].port`, with its place."""
    for key, child in node.keys.items():
        path = f"{prefix}.{key}" if prefix else key
        yield path, child
        yield from paths(child, f"{path}[]" if child.kind is Kind.ARRAY else path)


def _shape_of(model: type[Section], kind: Kind) -> Node:
    return Node(kind, {info.alias or name: _place_of(info) for name, info in model.model_fields.items()})


def _place_of(info: FieldInfo) -> Node:
    node = _nesting_of(info.annotation)
    words = next((mark.words for mark in info.metadata if isinstance(mark, Expected)), None)
    return replace(node, words=words)


def _nesting_of(annotation: object) -> Node:
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return _shape_of(annotation, Kind.OBJECT)
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _nesting_of(arguments[0])
    if origin is dict:
        return Node(Kind.FREE)
    if origin is tuple:
        item = arguments[0]
        is_section = isinstance(item, type) and issubclass(item, Section)
        return _shape_of(item, Kind.ARRAY) if is_section else Node(Kind.SCALAR)
    if origin in (Union, UnionType):
        nested = map(_nesting_of, arguments)
        return next((node for node in nested if node.kind is not Kind.SCALAR), Node(Kind.SCALAR))
    return Node(Kind.SCALAR)
