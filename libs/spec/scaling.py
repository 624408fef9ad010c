"""An autoscaler or a schedule by itself, in the same words as within a service.json."""

from collections.abc import Mapping
from dataclasses import dataclass

from libs.spec.autoscaler import Autoscaler, CronScaler
from libs.spec.canonical import canonical
from libs.spec.document import load
from libs.spec.refusal import NOTHING, refused
from libs.spec.scaling_rules import autoscaler_notices, check_autoscaler, check_cronscaler
from libs.spec.suggestions import Notice, unknown_keys
from libs.spec.updates import Document, merge_update
from libs.spec.validation import other_spelling, validated_part

_AUTOSCALER, _CRONSCALER = "autoscaler", "cronScaler"
_OF_A_WHOLE = frozenset({"metadata", "containers"})
_KEYS = {
    part: frozenset(field.alias or name for name, field in section.model_fields.items())
    for part, section in ((_AUTOSCALER, Autoscaler), (_CRONSCALER, CronScaler))
}


@dataclass(frozen=True)
class ParsedAutoscaler:
    """An accepted autoscaler, and what its author should know about it."""

    autoscaler: Autoscaler
    warnings: tuple[Notice, ...] = ()


@dataclass(frozen=True)
class ParsedCronScaler:
    """An accepted schedule, and what its author should know about it."""

    cronscaler: CronScaler
    warnings: tuple[Notice, ...] = ()


def parse_autoscaler(document: Document) -> ParsedAutoscaler:
    """Reads `{"min": …, "max": …, "scaleStrategies": […]}`; within `{"autoscaler": …}` it is found too, also
    in a whole service.json.

    Raises InvalidSpec, with paths as in a service.json.
    """
    part = _part(document, _AUTOSCALER)
    scaler = validated_part(Autoscaler, _AUTOSCALER, part)
    check_autoscaler(scaler)
    return ParsedAutoscaler(scaler, (*unknown_keys({_AUTOSCALER: part}), *autoscaler_notices(scaler)))


def parse_cronscaler(document: Document) -> ParsedCronScaler:
    """Reads `{"ScaleJobs": […], "ExcludeDates": […]}`; within `{"cronScaler": …}` it is found too, also in a
    whole service.json.

    Raises InvalidSpec, with paths as in a service.json, also where no job is named.
    """
    part = _part(document, _CRONSCALER)
    scaler = validated_part(CronScaler, _CRONSCALER, part)
    if not scaler.scale_jobs:
        path = (_CRONSCALER, "ScaleJobs")
        raise refused(path, NOTHING, f"at least one job{other_spelling(path, part)}")
    check_cronscaler(scaler)
    return ParsedCronScaler(scaler, tuple(unknown_keys({_CRONSCALER: part})))


def merged_autoscaler(current: Document, change: Document) -> dict[str, object]:
    """`current` with `change` merged in as an update of a service.json does it. Not validated.

    Raises InvalidSpec for a change that is not JSON, or contradicts itself.
    """
    stored, asked = ({_AUTOSCALER: _unwrapped(load(each), _AUTOSCALER)} for each in (current, change))
    merged = merge_update(stored, asked).get(_AUTOSCALER, {})
    return merged if isinstance(merged, dict) else {}


def _part(document: Document, key: str) -> object:
    return canonical({key: _unwrapped(load(document), key)})[key]


def _unwrapped(loaded: Mapping[str, object], key: str) -> object:
    """The part in a document that wraps it, such as a whole service.json; else the document. Raises
    InvalidSpec where that part is no object, or a whole service.json has none."""
    if _KEYS[key] & loaded.keys() or not {key, *_OF_A_WHOLE} & loaded.keys():
        return dict(loaded)
    inner = loaded.get(key, NOTHING)
    if not isinstance(inner, dict):
        raise refused((key,), inner, "an object")
    return inner
