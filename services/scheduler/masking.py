"""What of a document is never shown, and what a shown one may not bring back. Pure."""

import json

from libs.spec.refusal import Path, refused
from libs.spec.secret_refs import parse_ref

MASKED = "********"
SECRETS = frozenset({"token", "dockerAuth", "password", "decryption_key"})
# Where a reference to a secret may stand, which is none itself.
_MAY_REFER = frozenset({"dockerAuth", "password"})


def masked(spec_json: str) -> str:
    """The document fit to be shown: tokens, passwords and keys in it are hidden; references stay."""
    return json.dumps(without_secrets(json.loads(spec_json)), sort_keys=True)


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


def without_secrets(value: object) -> object:
    """A part of a document fit to be shown."""
    if isinstance(value, dict):
        return {k: MASKED if v and _is_secret(k, v) else without_secrets(v) for k, v in value.items()}
    return [without_secrets(item) for item in value] if isinstance(value, list) else value


def _is_secret(key: str, value: object) -> bool:
    if key not in SECRETS:
        return False
    try:
        return not (key in _MAY_REFER and isinstance(value, str) and parse_ref(value))
    except ValueError:
        return True
