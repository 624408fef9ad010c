"""From a user's service.json to what is stored: accepted, made canonical, warned about."""

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
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
from services.scheduler.datasets import concrete, pinned
from services.scheduler.facts import facts
from services.scheduler.gateways.ports import refuse_taken_listeners
from services.scheduler.gateways.registries import refuse_unknown
from services.scheduler.masking import MASKED, refuse_masked, without_secrets
from services.scheduler.scaling.warned import notices_of
from services.scheduler.secrets.vault import Vault
from services.scheduler.secrets.wants import refuse_missing, refuse_unreadable, wants_of
from services.scheduler.world import World


@dataclass(frozen=True)
class Accepted:
    """A service.json in the form in which it is stored, and what its user must hear about it."""

    spec: ServiceSpec
    spec_json: str
    token: str
    warnings: tuple[str, ...]


def accept(given: str | Mapping[str, Any], world: World, now: datetime, token: str = "") -> Accepted:
    """Parses, pins the versions of datasets, and gives the service a token when the document names none.

    Raises InvalidSpec, also for a group, a dataset, a secret or a registry that does not exist, for a port
    that is taken, and for a hidden value.
    """
    parsed = parse_service(given)
    spec = parsed.spec
    group = facts(spec).resource_group
    if group not in world.resource_groups:
        known = ", ".join(sorted(world.resource_groups))
        raise InvalidSpec("metadata.resource", group, f"an existing resource group ({known})")
    chosen = spec.token or token or secrets.token_urlsafe(24)
    document = {**pinned(spec, dump_service(spec), world), "token": chosen}
    refuse_masked(document)
    spec_json = json.dumps(document, sort_keys=True)
    refuse_missing(wants_of(concrete(world, spec_json)), world.secrets)
    refuse_taken_listeners(world, spec)
    refuse_unknown(world, spec)
    notices = (*parsed.warnings, *notices_of(world, spec, now), *not_carried_out(spec))
    return Accepted(
        spec=spec,
        spec_json=spec_json,
        token=chosen,
        warnings=tuple(f"{notice.path}: {notice.message}" for notice in notices),
    )


def ensure_secrets(world: World, vault: Vault, spec_json: str) -> None:
    """Raises InvalidSpec when a secret that a stored document refers to is gone or cannot be read."""
    wanted = wants_of(concrete(world, spec_json))
    refuse_missing(wanted, world.secrets)
    refuse_unreadable(wanted, vault)


def updated(stored: str, change: str, replace: bool) -> dict[str, object]:
    """The stored document after the change. Raises InvalidSpec when the change is no JSON object."""
    before = json.loads(stored)
    after = (replace_update if replace else merge_update)(before, change)
    return {key: _unmasked(value, before.get(key)) for key, value in after.items()}


def _unmasked(value: object, stored: object) -> object:
    """Puts back what `masked` had hidden, so that a shown document can be edited and sent again."""
    if value == MASKED:
        return value if stored is None else stored
    if isinstance(value, dict):
        known = stored if isinstance(stored, dict) else {}
        return {key: _unmasked(item, known.get(key)) for key, item in value.items()}
    if isinstance(value, list):
        olds = stored if isinstance(stored, list) else []
        return [_unmasked(item, _old_of(item, index, len(value), olds)) for index, item in enumerate(value)]
    return value


def _old_of(item: object, index: int, count: int, olds: list[object]) -> object:
    """The stored item that was shown as this one, wherever it is now; else the one in its place."""
    there = olds[index] if len(olds) == count else None
    if there is not None and without_secrets(there) == item:
        return there
    return next((old for old in olds if without_secrets(old) == item), there)
