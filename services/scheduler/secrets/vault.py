"""The secrets of the picture, opened: the one place where their values are in the clear."""

import base64
import binascii
from collections.abc import Mapping

from libs.domain.assets import ImagePull, Secret
from libs.spec.secret_refs import parse_ref
from services.scheduler.secrets.seal import Seal
from services.scheduler.world import World

Login = tuple[str, str]
LOGIN = "dockerAuth"


class Vault:
    """Opens each sealed record once; it is looked up again whenever the record has changed."""

    def __init__(self, world: World, seal: Seal) -> None:
        self._world, self.seal = world, seal
        self._opened: dict[str, tuple[str, Mapping[str, str] | None]] = {}

    def values(self, name: str) -> Mapping[str, str] | None:
        """None when there is no such secret, or when no key opens it."""
        record = self._world.secrets.get(name)
        if record is None:
            self._opened.pop(name, None)
            return None
        return self._values_of(record)

    def login(self, pull: ImagePull) -> Login | None:
        """User and password of the pull's registry, both empty where it needs none; None when they cannot be
        read now."""
        if not pull.docker_auth:
            return "", ""
        ref = parse_ref(pull.docker_auth)
        if ref is not None:
            values, key = self.values(ref.name), ref.key
        else:
            values, key = self.seal.opened(pull_owner(pull.id), pull.docker_auth), LOGIN
        return login_of(values[key]) if values is not None and key in values else None

    def _values_of(self, record: Secret) -> Mapping[str, str] | None:
        sealed, values = self._opened.get(record.name, ("", None))
        if sealed != record.sealed:
            values = self.seal.opened(record.name, record.sealed)
            self._opened[record.name] = record.sealed, values
        return values


def pull_owner(pull_id: str) -> str:
    """Whose the sealed login of a pull is; no secret can have this name."""
    return f"pull/{pull_id}"


def login_of(text: str) -> Login | None:
    """User and password of a `dockerAuth`, None where it is not the base64 form of both."""
    try:
        whole = base64.b64decode("".join(text.split()), validate=True).decode()
    except (binascii.Error, UnicodeError, ValueError):
        return None
    user, colon, password = whole.partition(":")
    return (user, password) if user and colon else None
