"""What can be done to secrets: pure decisions for the ledger. Values are in none of their sentences."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from libs.db.changes import Changes
from libs.domain.assets import Dataset, ImagePull, Secret
from libs.domain.errors import FailedPrecondition, InvalidRequest
from libs.domain.records import Event
from libs.domain.states import EventKind
from libs.spec.refusal import Words
from libs.spec.secret_refs import KEY, NAME, parse_ref
from services.scheduler.datasets import concrete, mounting
from services.scheduler.secrets.vault import Vault, pull_owner
from services.scheduler.secrets.wants import UNREADABLE, names_used, wants_of
from services.scheduler.world import World

MOST_KEYS = 64
MOST_BYTES = 64 * 1024

# The services that use a secret, by its name and key; the empty key is the secret as a whole.
Users = dict[tuple[str, str], set[str]]


def put(
    world: World, vault: Vault, name: str, values: Mapping[str, str], replace_all: bool, now: datetime
) -> Changes:
    """Sets and removes keys; nothing happens when every value is what it was.

    Raises InvalidRequest, and FailedPrecondition for a key that is in use and would go, and for a secret that
    cannot be read, unless all of it is replaced.
    """
    if not NAME.fullmatch(name):
        raise InvalidRequest("name", name, "up to 63 letters, digits, `.`, `_` and `-` between them")
    _check(values)
    stored = world.secrets.get(name)
    before = vault.values(name)
    if stored is not None and before is None and not replace_all:
        raise FailedPrecondition(f"secret {name!r} cannot be added to: {UNREADABLE}")
    kept = {} if replace_all else dict(before or {})
    after = {key: value for key, value in {**kept, **values}.items() if value}
    if not after or len(after) > MOST_KEYS:
        expected = f"1 to {MOST_KEYS} keys with a value; `easel secret rm` deletes a secret as a whole"
        raise InvalidRequest("values", Words(f"{len(after)} keys"), expected)
    if after == before:
        return Changes()
    gone = [key for key in (stored.keys if stored else ()) if key not in after]
    _refuse_removal(world, name, gone)
    sealed, keys = vault.seal.closed(name, after), tuple(sorted(after))
    if stored is None:
        record = Secret(name, keys, sealed, now, now)
        why = f"made with {_listed(keys)}"
    else:
        record = replace(stored, keys=keys, sealed=sealed, updated_at=now)
        changed = [key for key in keys if (before or {}).get(key) != after[key]]
        why = ", ".join(
            f"{verb} {_listed(some)}" for verb, some in (("set", changed), ("removed", gone)) if some
        )
    return Changes(put=(record,), events=(_event("SecretChanged", why, name, now),))


def deleted(world: World, name: str, now: datetime) -> Changes:
    """Raises NotFound, and FailedPrecondition while something refers to it."""
    record = world.secret(name)
    _refuse_removal(world, name, ("", *record.keys))
    return Changes(delete=(record,), events=(_event("SecretDeleted", "deleted by hand", name, now),))


def resealed(world: World, vault: Vault, now: datetime) -> Changes:
    """Everything that an older key sealed and one of the keys opens, sealed with the newest key."""
    put: list[Secret | ImagePull] = []
    events = []
    for record in world.secrets.values():
        values = vault.values(record.name)
        if values is not None and not vault.seal.is_newest(record.sealed):
            put.append(replace(record, sealed=vault.seal.closed(record.name, values)))
            events.append(_event("SecretResealed", "sealed with the newest key", record.name, now))
    for pull in _sealed_pulls(world):
        login = vault.seal.opened(pull_owner(pull.id), pull.docker_auth)
        if login is not None and not vault.seal.is_newest(pull.docker_auth):
            put.append(replace(pull, docker_auth=vault.seal.closed(pull_owner(pull.id), login)))
    return Changes(put=tuple(put), events=tuple(events))


def unreadable(world: World, vault: Vault) -> list[str]:
    """The names of the secrets that no key opens."""
    return sorted(name for name in world.secrets if vault.values(name) is None)


def users_of(world: World) -> Users:
    """Who uses which secret: services by the versions in force, the last that all instances ran, and those
    that instances still run."""
    found: Users = {}
    for name, service in world.services.items():
        numbers = {service.version, service.stable_version}
        numbers |= {instance.version for instance in world.instances_of(name)}
        stored = world.versions.get(name, {})
        for number in numbers & stored.keys():
            wanted = wants_of(concrete(world, stored[number].spec_json))
            for used in names_used(wanted, world.secrets):
                found.setdefault(used, set()).add(name)
    return found


def users_by_secret(users: Users) -> dict[str, list[str]]:
    """The services that use any key of a secret, by its name."""
    found: dict[str, set[str]] = {}
    for (name, _), services in users.items():
        found.setdefault(name, set()).update(services)
    return {name: sorted(services) for name, services in found.items()}


def _refuse_removal(world: World, name: str, keys: Iterable[str]) -> None:
    """Raises FailedPrecondition for the first of the keys that something refers to."""
    users = users_of(world)
    for dataset in (each for versions in world.datasets.values() for each in versions.values()):
        for used in _used_by_source(dataset):
            users.setdefault(used, set()).add(f"dataset {dataset.id}")
    for pull in world.image_pulls.values():
        ref = parse_ref(pull.docker_auth)
        if ref is not None:
            users.setdefault((ref.name, ref.key), set()).add(f"image pull {pull.id}")
    for used, by_whom in _used_by_gateways(world):
        users.setdefault(used, set()).add(by_whom)
    for key in keys:
        if by := users.get((name, key)):
            what = f"key {key!r} of secret {name!r}" if key else f"secret {name!r}"
            raise FailedPrecondition(f"{what} is used by {', '.join(sorted(by))}; change that first")


def _used_by_gateways(world: World) -> Iterator[tuple[tuple[str, str], str]]:
    """The keys that gateways and registries open, and who does; the empty key keeps a secret whole."""
    for gateway in world.gateways.values():
        names = {domain.secret: ("certificate", "key") for domain in gateway.domains}
        for name, keys in (*names.items(), (gateway.upstream_tls_secret, ("ca",))):
            yield from (((name, key), f"gateway {gateway.name}") for key in ("", *keys) if name)
    for registry in world.registries.values():
        for key in ("", "user", "password") if registry.secret else ():
            yield (registry.secret, key), f"registry {registry.id}"


def _used_by_source(dataset: Dataset) -> Iterator[tuple[str, str]]:
    """What a dataset names, whether or not a service mounts it."""
    wanted = wants_of(json.dumps(mounting(json.loads(dataset.source_json))))
    yield from ((ref.name, ref.key) for _, ref in wanted.references)
    yield from ((names[0], "") for path, names in wanted.buckets if path)


def _sealed_pulls(world: World) -> Iterator[ImagePull]:
    for pull in world.image_pulls.values():
        if pull.docker_auth and parse_ref(pull.docker_auth) is None:
            yield pull


def _check(values: Mapping[str, str]) -> None:
    for key, value in values.items():
        if not KEY.fullmatch(key):
            raise InvalidRequest("values", key[:80], "keys of up to 63 letters, digits, `.`, `_` and `-`")
        size = len(value.encode())
        if size > MOST_BYTES:
            raise InvalidRequest(f"values[{key}]", Words(f"{size} bytes"), f"at most {MOST_BYTES} bytes")


def _listed(keys: Sequence[str]) -> str:
    return f"{'key' if len(keys) == 1 else 'keys'} {', '.join(keys)}"


def _event(reason: str, why: str, name: str, now: datetime) -> Event:
    return Event(now, EventKind.NORMAL, reason, why, "secret", name)
