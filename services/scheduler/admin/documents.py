"""The service.json in force: what is stored of a version, and what changed since without a new one. Pure."""

import json
from collections.abc import Mapping
from typing import Any

from libs.domain.records import Service, ServiceVersion
from services.scheduler.masking import masked

Document = Mapping[str, Any]


def in_force(service: Service, version: ServiceVersion) -> dict[str, Any]:
    """The document of a version with the number of instances and the labels that are wanted now."""
    return _with(json.loads(version.spec_json), service.wanted, service.labels)


def shown(service: Service, version: ServiceVersion) -> str:
    """The document in force as callers see it: its secrets are hidden."""
    return masked(json.dumps(in_force(service, version)))


def same_but_for_instances(one: Document, other: Document) -> bool:
    """Whether nothing differs but how many instances are wanted: such an update replaces nothing."""
    return _comparable(one) == _comparable(other)


def only_labels_differ(one: Document, other: Document) -> bool:
    """Whether the labels differ, and nothing else does."""
    rest, others = ({key: value for key, value in each.items() if key != "labels"} for each in (one, other))
    return one != other and rest == others


def _comparable(document: Document) -> str:
    return json.dumps(_with(document, 0, document.get("labels", {})), sort_keys=True)


def _with(document: Document, wanted: int, labels: Mapping[str, str]) -> dict[str, Any]:
    rest = {key: value for key, value in document.items() if key != "labels"}
    marked = {"labels": dict(labels)} if labels else {}
    return {**rest, **marked, "metadata": {**document["metadata"], "instance": wanted}}
