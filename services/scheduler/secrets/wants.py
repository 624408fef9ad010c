"""Which secrets a service.json needs, and what of them its instances are handed. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from libs.domain.assets import Secret
from libs.domain.errors import InvalidSpec
from libs.spec import ServiceSpec, parse_stored
from libs.spec.refusal import path_of
from libs.spec.secret_refs import SCHEME, SecretRef, bucket_secrets, references
from libs.spec.storage import Oss
from services.scheduler.secrets.vault import Vault, login_of

MAKE_IT = "make it with `easel secret set NAME KEY=VALUE`"
UNREADABLE = (
    "its values cannot be read, since the scheduler lacks the key that sealed them; "
    "give it that key again, or set all its keys anew with `easel secret set --replace`"
)


@dataclass(frozen=True)
class Wants:
    """References with their paths; for each bucket the secrets that may open it, and its path when the
    document names the one."""

    references: tuple[tuple[str, SecretRef], ...] = ()
    buckets: tuple[tuple[str, tuple[str, ...]], ...] = ()


_NOTHING = Wants()


@lru_cache(maxsize=32_768)
def wants_of(spec_json: str) -> Wants:
    """What an accepted document wants, its datasets resolved; nothing for one that no longer parses."""
    if SCHEME not in spec_json and "oss" not in spec_json:
        return _NOTHING
    try:
        return wants(parse_stored(spec_json).spec)
    except InvalidSpec:
        return _NOTHING


def wants(spec: ServiceSpec) -> Wants:
    return Wants(
        references=tuple((path_of(path), ref) for path, ref in references(spec)),
        buckets=tuple(
            (
                path_of(("storage", index, "oss", "secret")) if mount.oss.secret else "",
                bucket_secrets(mount.oss),
            )
            for index, mount in enumerate(spec.storage)
            if mount.oss is not None
        )
        + _of_the_warm_up(spec),
    )


def _of_the_warm_up(spec: ServiceSpec) -> tuple[tuple[str, tuple[str, ...]], ...]:
    path = spec.warm_up_data_path or ""
    return (("", bucket_secrets(Oss(path=path))),) if path.startswith("oss://") else ()


def names_used(wanted: Wants, known: Mapping[str, Secret]) -> Iterator[tuple[str, str]]:
    """The names and keys that are used; a bucket uses a secret whole, which is an empty key."""
    for _, ref in wanted.references:
        yield ref.name, ref.key
    for _, names in wanted.buckets:
        if name := _first(names, known):
            yield name, ""


def handed_out(wanted: Wants, known: Mapping[str, Secret], vault: Vault) -> dict[str, str]:
    """Values by "name/key". What is missing or cannot be opened is left out; the agent says so."""
    values: dict[str, str] = {}
    for _, ref in wanted.references:
        opened = vault.values(ref.name)
        if opened is not None and ref.key in opened:
            values[ref.id] = opened[ref.key]
    for _, names in wanted.buckets:
        if name := _first(names, known):
            opened = vault.values(name) or {}
            values |= {SecretRef(name, key).id: value for key, value in opened.items()}
    return values


def refuse_missing(wanted: Wants, known: Mapping[str, Secret]) -> None:
    """Raises InvalidSpec for the first reference that no secret and key stand behind."""
    for path, ref in wanted.references:
        record = known.get(ref.name)
        if record is None or ref.key not in record.keys:
            raise InvalidSpec(path, f"{SCHEME}{ref.id}", f"an existing secret and key; {MAKE_IT}")
    for path, names in wanted.buckets:
        if path and names[0] not in known:
            raise InvalidSpec(path, names[0], f"an existing secret; {MAKE_IT}")


def refuse_unreadable(wanted: Wants, vault: Vault) -> None:
    """Raises InvalidSpec for the first named secret that cannot be opened, and for a `dockerAuth` that refers
    to something else than a login. What is missing is the matter of `refuse_missing`."""
    for path, ref in wanted.references:
        shown = f"{SCHEME}{ref.id}"
        value = _opened(path, shown, ref.name, vault).get(ref.key)
        if value is not None and path.endswith("dockerAuth") and login_of(value) is None:
            raise InvalidSpec(path, shown, "a secret whose value is the base64 form of user:password")
    for path, names in wanted.buckets:
        if path:
            _opened(path, names[0], names[0], vault)


def _opened(path: str, shown: str, name: str, vault: Vault) -> Mapping[str, str]:
    opened = vault.values(name)
    if opened is None:
        raise InvalidSpec(path, shown, f"a secret that can be read; {UNREADABLE}")
    return opened


def _first(names: tuple[str, ...], known: Mapping[str, Secret]) -> str:
    return next((name for name in names if name in known), "")
