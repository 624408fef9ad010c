"""Unknown keys: found, and answered with the key that was probably meant."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache

from libs.spec.refusal import Path, path_of
from libs.spec.shape import Kind, Node, paths, root

_NEAR = 0.75

# Spellings that people bring along, and the path each stands for here.
_TRAPS = {
    "min_replica": "autoscaler.min",
    "min_replicas": "autoscaler.min",
    "max_replica": "autoscaler.max",
    "max_replicas": "autoscaler.max",
    "replica": "metadata.instance",
    "replicas": "metadata.instance",
    "instances": "metadata.instance",
    "instance_count": "metadata.instance",
    "gpus": "metadata.gpu",
    "timeout": "metadata.rpc.keepalive",
    "requirements": "containers[].prepare.pythonRequirements",
    "volumes": "storage",
    "mounts": "storage",
    "grace_period": "metadata.eas.termination_grace_period",
}


@dataclass(frozen=True, slots=True)
class Notice:
    """Something the author of a document should know, and the JSON path of what it is about."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


def unknown_keys(document: Mapping[str, object]) -> Iterator[Notice]:
    """One notice for each key of a canonical document that is kept, but means nothing here."""
    yield from _unknown(document, root(), ())


def suggestion(key: str, node: Node, at: Path) -> str | None:
    """The path that an unknown `key` in the object at `at` probably meant; None without a good guess."""
    folded = _fold(key)
    for sibling in node.keys:
        if _fold(sibling) == folded:
            return path_of((*at, sibling))
    if trap := _trap(folded):
        return trap
    if near := get_close_matches(key, list(node.keys), n=1, cutoff=_NEAR):
        return path_of((*at, near[0]))
    elsewhere = _by_leaf().get(folded, ())
    if len(elsewhere) == 1:
        return elsewhere[0]
    alike = [each for each in node.keys if _one_letter_off(key, each)]
    return " or ".join(path_of((*at, each)) for each in alike[:2]) or None


def same_letters(key: str, other: str) -> bool:
    """Whether two keys differ in no more than case, underscores and hyphens."""
    return _fold(key) == _fold(other)


def misspelt(key: str, among: Iterable[str], node: Node) -> str | None:
    """Which of the keys that stand there, and mean nothing, `key` was probably meant by."""
    unknown = [each for each in among if each not in node.keys]
    alike = (each for each in unknown if same_letters(each, key))
    return next(alike, None) or next(iter(get_close_matches(key, unknown, n=1, cutoff=_NEAR)), None)


def _one_letter_off(key: str, other: str) -> bool:
    """For words too short to be told by how much of them is alike; also where two letters are swapped."""
    if not len(key) == len(other) >= 3:
        return False
    odd = [at for at, (a, b) in enumerate(zip(key, other, strict=True)) if a != b]
    swapped = len(odd) == 2 and key[odd[0]] + key[odd[1]] == other[odd[1]] + other[odd[0]]
    return len(odd) == 1 or (swapped and odd[1] == odd[0] + 1)


def _unknown(document: Mapping[str, object], node: Node, at: Path) -> Iterator[Notice]:
    for key, value in document.items():
        child = node.keys.get(key)
        if child is None:
            meant = suggestion(key, node, at)
            hint = f"; did you mean {meant}?" if meant else ""
            yield Notice(path_of((*at, key)), f"unknown key, kept and ignored{hint}")
        elif child.kind is Kind.OBJECT and isinstance(value, dict):
            yield from _unknown(value, child, (*at, key))
        elif child.kind is Kind.ARRAY and isinstance(value, list):
            for index, item in enumerate(value):
                if isinstance(item, dict):
                    yield from _unknown(item, child, (*at, key, index))


def _fold(key: str) -> str:
    return key.replace("_", "").replace("-", "").lower()


def _trap(folded: str) -> str | None:
    return next((path for spelling, path in _TRAPS.items() if _fold(spelling) == folded), None)


@cache
def _by_leaf() -> Mapping[str, tuple[str, ...]]:
    found: dict[str, list[str]] = defaultdict(list)
    for path, _ in paths(root()):
        found[_fold(path.rpartition(".")[2])].append(path)
    return {leaf: tuple(places) for leaf, places in found.items()}
