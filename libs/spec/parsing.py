"""From a service.json to a ServiceSpec and back."""

from collections.abc import Iterator
from dataclasses import dataclass

from libs.domain.errors import InvalidSpec
from libs.spec.canonical import canonical
from libs.spec.document import load
from libs.spec.refusal import path_of
from libs.spec.rules import check
from libs.spec.scaling_rules import scaling_notices
from libs.spec.service import ServiceSpec
from libs.spec.suggestions import Notice, unknown_keys
from libs.spec.updates import Document
from libs.spec.validation import validated

_TYPES = frozenset(
    {
        "Async",
        "Standard",
        "Queue",
        "LLM",
        "RAG",
        "Serverless",
        "LLMGatewayService",
        "OfflineTask",
        "SDCluster",
    }
    | {"ScalableJob", "ScalableJobService", "AssistantJob"}
)
_WORKLOADS = frozenset({"elasticjob"})
# Earlier releases took these without reading all of what they say.
_POLICIES = frozenset({"autoscaler", "cronScaler"})
_FEATURES = frozenset(
    f"eas.aliyun.com/{name}"
    for name in ("extra-ephemeral-storage", "gpu-driver-version", "enable-rollout", "enable-properties")
)


@dataclass(frozen=True, slots=True)
class Parsed:
    """An accepted document, and what its author should know about it."""

    spec: ServiceSpec
    warnings: tuple[Notice, ...] = ()


def parse_service(document: Document) -> Parsed:
    """Reads a service.json, given as text, as bytes in UTF-8 or as a mapping.

    Raises InvalidSpec, and nothing else, naming the path, the value and what was expected.
    """
    nested = canonical(load(document))
    nested.setdefault("metadata", {})
    spec = validated(nested)
    check(spec)
    return Parsed(spec, (*unknown_keys(spec.to_json()), *_odd_values(spec), *scaling_notices(spec)))


def parse_stored(document: Document) -> Parsed:
    """Reads a document in its stored form, which was accepted before, by this release or an earlier one.

    Policies of size that cannot be read any more are left out, so that they stand in the way of nothing else.
    Raises InvalidSpec for whatever else cannot be read.
    """
    try:
        return parse_service(document)
    except InvalidSpec:
        rest = {key: value for key, value in load(document).items() if key not in _POLICIES}
        return parse_service(rest)


def dump_service(spec: ServiceSpec) -> dict[str, object]:
    """The nested JSON of a spec, which parses to the same spec: what was written, unknown keys included."""
    return spec.to_json()


def _odd_values(spec: ServiceSpec) -> Iterator[Notice]:
    metadata = spec.metadata
    if metadata.type and metadata.type not in _TYPES:
        yield Notice("metadata.type", f"unknown type {metadata.type[:80]!r}, kept and treated as Standard")
    if metadata.workload_type and metadata.workload_type not in _WORKLOADS:
        yield Notice(
            "metadata.workload_type", f"unknown value {metadata.workload_type[:80]!r}, kept and ignored"
        )
    if metadata.gpu > 0:
        for name in ("gpu_memory", "gpu_core_percentage"):
            if getattr(metadata, name) is not None:
                yield Notice(f"metadata.{name}", "ignored, since metadata.gpu asks for whole cards")
    for name in ("rate_limit", "concurrency_limit"):
        limit = getattr(spec.networking.gateway_policy, name)
        if limit.limit is not None and "enable" not in limit.model_fields_set:
            path = f"networking.gateway_policy.{name}"
            yield Notice(path, 'nothing is limited, since "enable": true is missing')
    for feature in sorted(spec.features.keys() - _FEATURES):
        yield Notice(path_of(("features", feature)), "unknown switch, kept and ignored")
    for index, container in enumerate(spec.containers):
        if container.args and container.script:
            yield Notice(
                f"containers[{index}].args", "ignored, since arguments belong to command, not to script"
            )
