"""What can be done to registries: pure decisions for the ledger."""

import re
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from urllib.parse import urlsplit

from libs.db.changes import Changes
from libs.domain.errors import FailedPrecondition, InvalidRequest, InvalidSpec, NotFound
from libs.domain.records import Event
from libs.domain.states import EventKind
from libs.domain.traffic import Registry
from libs.spec import ServiceSpec
from libs.spec.refusal import Words
from services.scheduler.gateways.checks import is_url, refuse_secret
from services.scheduler.world import World

KINDS = ("nacos",)
_ID = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")


def put(world: World, asked: Registry, now: datetime) -> Changes:
    """Makes a registry known, or replaces what is known of it. Raises InvalidRequest."""
    if not _ID.fullmatch(asked.id):
        raise InvalidRequest("id", asked.id, "up to 63 letters, digits, `.`, `_` and `-` between them")
    if asked.kind not in KINDS:
        raise InvalidRequest("kind", asked.kind, " or ".join(KINDS))
    if not is_url(asked.url):
        raise InvalidRequest("url", asked.url, "an address that begins with http:// or https://")
    if "@" in urlsplit(asked.url).netloc:
        # It is shown to everybody who may look at registries, and is in events.
        raise InvalidRequest("url", Words("one with a login"), "an address without; a secret holds the login")
    if asked.secret:
        refuse_secret(world, "secret", asked.secret, ("user", "password"))
    before = world.registries.get(asked.id)
    if before is None:
        made, why = replace(asked, created_at=now, revision=0), f"{asked.kind} at {asked.url}"
        return Changes((made,), (), (_event("RegistryPut", why, asked.id, now),))
    after = replace(asked, created_at=before.created_at, revision=before.revision)
    if after == before:
        return Changes()
    return Changes((after,), (), (_event("RegistryPut", f"now {asked.kind} at {asked.url}", asked.id, now),))


def deleted(world: World, registry_id: str, used_by: Iterable[str], now: datetime) -> Changes:
    """Raises NotFound, and FailedPrecondition while a service is written to it."""
    registry = world.registries.get(registry_id)
    if registry is None:
        raise NotFound(f"there is no registry {registry_id!r}")
    if users := sorted(used_by):
        raise FailedPrecondition(
            f"{', '.join(users)} is written to registry {registry_id!r}; change that first"
        )
    return Changes((), (registry,), (_event("RegistryDeleted", "deleted by hand", registry_id, now),))


def refuse_unknown(world: World, spec: ServiceSpec) -> None:
    """Raises InvalidSpec for the first registry of networking.nacos that is not known."""
    for index, each in enumerate(spec.networking.nacos):
        named = each.nacos_id or each.id
        if named is None:
            expected = "the id of a registry; make it known with `easel registry put`"
            raise InvalidSpec(f"networking.nacos[{index}].nacos_id", "", expected)
        if named not in world.registries:
            known = ", ".join(sorted(world.registries)) or "none yet; `easel registry put` makes one known"
            raise InvalidSpec(f"networking.nacos[{index}].nacos_id", named, f"a known registry ({known})")


def _event(reason: str, why: str, registry_id: str, now: datetime) -> Event:
    return Event(now, EventKind.NORMAL, reason, why, "registry", registry_id)
