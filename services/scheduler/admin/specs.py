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
from libs.spec.refusal import Path, refused
from libs.spec.secret_refs import parse_ref
from services.scheduler.datasets import concrete, pinned
from services.scheduler.facts import facts
from services.scheduler.secrets.vault import Vault
from services.scheduler.secrets.wants import refuse_missing, refuse_unreadable, wants_of
from services.scheduler.world import World

MASKED = "********"
SECRETS = frozenset({"token", "dockerAuth", "password", "decryption_key"})
# Where a reference to a secret may stand, which is none itself.
_MAY_REFER = frozenset({"dockerAuth", "password"})


@dataclass(frozen=True)
class Accepted:
    """A service.json in the form in which it is stored, and what its user must hear about it."""

    spec: ServiceSpec
    spec_json: str
    token: str
    warnings: tuple[str, ...]


def accept(given: str | Mapping[str, Any], world: World, token: str = "") -> Accepted:
    """Parses, pins the versions of datasets, and gives the service a token when the document names none.

    Raises InvalidSpec, also for a group, a dataset or a secret that does not exist, and for a hidden value.
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
    notices = (*parsed.warnings, *not_carried_out(spec))
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


def masked(spec_json: str) -> str:
    """The document fit to be shown: tokens, passwords and keys in it are hidden; references stay."""
    return json.dumps(_masked(json.loads(spec_json)), sort_keys=True)


def refuse_masked(value: object, path: Path = ()) -> None:
    """Raises InvalidSpec where a hidden value stands that nothing stored belongs to."""
    match value:
        case dict():
            for key, item in value.items():
                if item == MASKED and key in SECRETS:
                    raise refused((*path, key), item, "the value itself, which is hidden where it is shown")
                refuse_masked(item, (*path, key))
        case list():
            for index, item in enumerate(value):
                refuse_masked(item, (*path, index))


def _masked(value: object) -> object:
    if isinstance(value, dict):
        return {k: MASKED if v and _is_secret(k, v) else _masked(v) for k, v in value.items()}
    return [_masked(item) for item in value] if isinstance(value, list) else value


def _is_secret(key: str, value: object) -> bool:
    if key not in SECRETS:
        return False
    try:
        return not (key in _MAY_REFER and isinstance(value, str) and parse_ref(value))
    except ValueError:
        return True


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
    if there is not None and _masked(there) == item:
        return there
    return next((old for old in olds if _masked(old) == item), there)
