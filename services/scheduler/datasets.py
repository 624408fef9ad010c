"""Registered sources of files: made, taken away, and put in the place of the mounts that name them. Pure."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from libs.db.changes import Changes
from libs.domain.assets import Dataset
from libs.domain.errors import AlreadyExists, FailedPrecondition, InvalidRequest, InvalidSpec, NotFound
from libs.domain.records import Event
from libs.domain.states import EventKind
from libs.spec import ServiceSpec, parse_service, parse_stored
from libs.spec.document import load
from libs.spec.refusal import Words, path_of
from services.scheduler.masking import refuse_masked
from services.scheduler.secrets.vault import Vault
from services.scheduler.secrets.wants import refuse_missing, refuse_unreadable, wants
from services.scheduler.world import World

SOURCES = ("oss", "nfs", "git", "image", "host_path")
# The sources that are shared with others; of the rest each instance has a copy of its own.
_SHARED = ("oss", "nfs", "host_path")
_ID = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
_MOST_DESCRIPTION = 1000
_PLACE = "storage[0]"


@dataclass(frozen=True)
class Use:
    """One mount of a dataset."""

    index: int
    id: str
    version: str
    read_only: bool


def created(
    world: World,
    vault: Vault,
    dataset_id: str,
    version: str,
    source_json: str,
    description: str,
    now: datetime,
) -> Dataset:
    """The dataset to be stored, or the stored one where it is the same.

    Raises InvalidRequest, and AlreadyExists when the version has another source.
    """
    if not _ID.fullmatch(dataset_id):
        raise InvalidRequest("id", dataset_id, "up to 63 letters, digits, `.`, `_` and `-` between them")
    known = world.datasets.get(dataset_id, {})
    version = version or _next_number(known)
    if not _ID.fullmatch(version):
        raise InvalidRequest("version", version, "up to 63 letters, digits, `.`, `_` and `-` between them")
    if len(description) > _MOST_DESCRIPTION:
        found = Words(f"{len(description)} characters")
        raise InvalidRequest("description", found, f"at most {_MOST_DESCRIPTION} characters")
    source = _accepted_source(source_json, world, vault)
    stored = known.get(version)
    if stored is None:
        return Dataset(dataset_id, version, source, now, description)
    if stored.source_json != source:
        raise AlreadyExists(
            f"dataset {dataset_id!r} has a version {version} with another source; a version never changes"
        )
    return stored


def registered(dataset: Dataset, now: datetime) -> Changes:
    """Nothing for one that is stored already."""
    if dataset.revision:
        return Changes()
    why = f"version {dataset.version} was registered"
    return Changes(put=(dataset,), events=(_event("DatasetCreated", why, dataset.id, now),))


def deleted(world: World, dataset_id: str, version: str, now: datetime) -> Changes:
    """One version, or all of them when none is named.

    Raises NotFound, and FailedPrecondition while a stored version of a service mounts it: a service that is
    rolled back must find it.
    """
    known = world.datasets.get(dataset_id, {})
    if not known:
        raise NotFound(f"there is no dataset {dataset_id!r}")
    if version and version not in known:
        raise NotFound(f"dataset {dataset_id!r} has no version {version!r}")
    going = [known[version]] if version else list(known.values())
    users = users_of(world)
    for dataset in going:
        if services := users.get((dataset.id, dataset.version)):
            raise FailedPrecondition(
                f"version {dataset.version} of dataset {dataset.id!r} is mounted by a stored version of "
                f"{', '.join(services)}, to which a roll-back may lead; it stays until the service is deleted"
            )
    what = f"version {version} was deleted" if version else "all its versions were deleted"
    return Changes(delete=tuple(going), events=(_event("DatasetDeleted", what, dataset_id, now),))


def users_of(world: World) -> dict[tuple[str, str], list[str]]:
    """The services of which a stored version mounts a dataset, by its id and version."""
    found: dict[tuple[str, str], set[str]] = {}
    for service, versions in world.versions.items():
        for stored in versions.values():
            for use in uses_of(stored.spec_json):
                found.setdefault((use.id, use.version), set()).add(service)
    return {key: sorted(services) for key, services in found.items()}


def pinned(spec: ServiceSpec, dumped: Mapping[str, object], world: World) -> dict[str, Any]:
    """The document with a version for each dataset it mounts, the newest where it names none.

    Raises InvalidSpec for a dataset that is not registered.
    """
    document: dict[str, Any] = dict(dumped)
    for index, mount in enumerate(spec.storage):
        if mount.dataset is None:
            continue
        known = world.datasets.get(mount.dataset.id, {})
        if not known:
            ids = ", ".join(sorted(world.datasets)) or "there is none yet"
            path = path_of(("storage", index, "dataset", "id"))
            raise InvalidSpec(path, mount.dataset.id, f"a registered dataset ({ids})")
        if mount.dataset.version is not None and mount.dataset.version not in known:
            path = path_of(("storage", index, "dataset", "version"))
            raise InvalidSpec(path, mount.dataset.version, f"a version of it ({', '.join(sorted(known))})")
        version = mount.dataset.version or _newest(known)
        mounts = list(document["storage"])
        mounts[index] = {**mounts[index], "dataset": {**mounts[index]["dataset"], "version": version}}
        document["storage"] = mounts
    return document


def concrete(world: World, spec_json: str) -> str:
    """The document with its datasets' sources in their place; one that is gone stays named."""
    uses = uses_of(spec_json)
    if not uses:
        return spec_json
    stored = tuple(world.datasets.get(use.id, {}).get(use.version) for use in uses)
    return _joined(spec_json, tuple(each.source_json if each else "" for each in stored))


def mounting(source: Mapping[str, object]) -> dict[str, object]:
    """The smallest document that mounts a source."""
    mount = {**source, "mount_path": "/mnt/dataset"}
    return {"metadata": {"name": "dataset"}, "containers": [{"image": "none"}], "storage": [mount]}


@lru_cache(maxsize=32_768)
def uses_of(spec_json: str) -> tuple[Use, ...]:
    """The mounts of datasets in an accepted document. One that cannot be read any more has none."""
    if '"dataset"' not in spec_json:
        return ()
    try:
        return tuple(_uses(parse_stored(spec_json).spec))
    except InvalidSpec:
        return ()


def _uses(spec: ServiceSpec) -> Iterator[Use]:
    for index, mount in enumerate(spec.storage):
        if mount.dataset is not None:
            yield Use(index, mount.dataset.id, mount.dataset.version or "", mount.dataset.read_only)


@lru_cache(maxsize=32_768)
def _joined(spec_json: str, sources: tuple[str, ...]) -> str:
    document = json.loads(spec_json)
    for use, source_json in zip(uses_of(spec_json), sources, strict=True):
        if not source_json:
            continue
        ((kind, source),) = json.loads(source_json).items()
        if use.read_only and kind in _SHARED:
            source["readOnly"] = True
        mount = document["storage"][use.index]
        del mount["dataset"]
        mount[kind] = source
    return json.dumps(document, sort_keys=True)


def _accepted_source(source_json: str, world: World, vault: Vault) -> str:
    """The source in canonical form. Raises InvalidRequest with the path in it, such as `oss.path`."""
    try:
        source = load(source_json)
        if len(source) != 1 or not source.keys() <= set(SOURCES):
            found = Words(" and ".join(sorted(source))[:80] or "nothing")
            raise InvalidRequest("source_json", found, f"exactly one of {', '.join(SOURCES)}")
        parsed = parse_service(mounting(source))
        refuse_masked(mounting(source))
        wanted = wants(parsed.spec)
        refuse_missing(wanted, world.secrets)
        refuse_unreadable(wanted, vault)
    except InvalidSpec as refused:
        raise InvalidRequest(_field(refused.path), refused.value, refused.expected) from None
    for notice in parsed.warnings:
        # A typing error would stay for ever, since a version never changes.
        hint = notice.message.partition("; ")[2].replace(f"{_PLACE}.", "")
        known_ones = f"keys that are known; {hint}" if hint else "keys that are known"
        raise InvalidRequest(_field(notice.path), Words("an unknown key"), known_ones)
    kept = parsed.spec.storage[0].to_json()
    return json.dumps({kind: kept[kind] for kind in source}, sort_keys=True)


def _field(path: str) -> str:
    below = path.removeprefix(f"{_PLACE}.")
    return below if below != path else "source_json"


def _next_number(known: Mapping[str, Dataset]) -> str:
    return str(1 + max((int(each) for each in known if each.isascii() and each.isdigit()), default=0))


def _newest(known: Mapping[str, Dataset]) -> str:
    return max(known.values(), key=lambda each: (each.created_at, each.version)).version


def _event(reason: str, why: str, dataset_id: str, now: datetime) -> Event:
    return Event(now, EventKind.NORMAL, reason, why, "dataset", dataset_id)
