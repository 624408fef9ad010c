"""From a user's service.json to what is stored: accepted, made canonical, warned about."""

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from libs.domain.errors import InvalidSpec
from libs.spec import (
    ServiceSpec,
    dump_service,
    merge_update,
    not_carried_out,
    parse_service,
    replace_update,
)
from services.scheduler.facts import facts
from services.scheduler.world import World

MASKED = "********"
SECRETS = frozenset({"token", "dockerAuth", "password", "decryption_key"})


@dataclass(frozen=True)
class Accepted:
    """A service.json in the form in which it is stored, and what its user must hear about it."""

    spec: ServiceSpec
    spec_json: str
    token: str
    warnings: tuple[str, ...]


def accept(document: str | Mapping[str, Any], world: World, token: str = "") -> Accepted:
    """Parses, and gives the service a token when the document names none. Raises InvalidSpec."""
    parsed = parse_service(document)
    spec = parsed.spec
    group = facts(spec).resource_group
    if group not in world.resource_groups:
        known = ", ".join(sorted(world.resource_groups))
        raise InvalidSpec("metadata.resource", group, f"an existing resource group ({known})")
    chosen = spec.token or token or secrets.token_urlsafe(24)
    dumped = {**dump_service(spec), "token": chosen}
    notices = (*parsed.warnings, *not_carried_out(spec))
    return Accepted(
        spec=spec,
        spec_json=json.dumps(dumped, sort_keys=True),
        token=chosen,
        warnings=tuple(f"{notice.path}: {notice.message}" for notice in notices),
    )


def updated(stored: str, change: str, replace: bool) -> dict[str, object]:
    """The stored document after the change. Raises InvalidSpec when the change is no JSON object."""
    before = json.loads(stored)
    after = (replace_update if replace else merge_update)(before, change)
    return {key: _unmasked(value, before.get(key)) for key, value in after.items()}


def with_instances(spec_json: str, wanted: int) -> str:
    """The document with `metadata.instance` as it is wanted now."""
    return json.dumps(_sized(spec_json, wanted), sort_keys=True)


def shown(spec_json: str, wanted: int) -> str:
    """The document in force as callers see it: with the instances wanted now, its secrets hidden."""
    return json.dumps(_masked(_sized(spec_json, wanted)), sort_keys=True)


def _sized(spec_json: str, wanted: int) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(spec_json)
    document["metadata"]["instance"] = wanted
    return document


def masked(spec_json: str) -> str:
    """The document fit to be shown: tokens, passwords and keys in it are hidden."""
    return json.dumps(_masked(json.loads(spec_json)), sort_keys=True)


def _masked(value: object) -> object:
    if isinstance(value, dict):
        return {k: MASKED if k in SECRETS and v else _masked(v) for k, v in value.items()}
    return [_masked(item) for item in value] if isinstance(value, list) else value


def _unmasked(value: object, stored: object) -> object:
    """Puts back what `masked` had hidden, so that a shown document can be edited and sent again."""
    if value == MASKED:
        return stored
    if isinstance(value, dict):
        known = stored if isinstance(stored, dict) else {}
        return {key: _unmasked(item, known.get(key)) for key, item in value.items()}
    if isinstance(value, list):
        olds = stored if isinstance(stored, list) and len(stored) == len(value) else [None] * len(value)
        return [_unmasked(item, old) for item, old in zip(value, olds, strict=True)]
    return value


def same_but_for_instances(one: str, other: str) -> bool:
    """Whether nothing differs but how many instances are wanted: such an update rolls nothing."""
    return with_instances(one, 0) == with_instances(other, 0)
