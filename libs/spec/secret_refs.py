"""Where a service.json refers to secrets: `secret://NAME/KEY` in place of a value. Easel's own.

`secret://NAME` alone means the key `value`. A bucket may need a secret that the document does not name: see
`bucket_secrets`.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from libs.spec.refusal import Path
from libs.spec.service import ServiceSpec
from libs.spec.storage import Oss

SCHEME = "secret://"
NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
KEY = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,62}")
DEFAULT_KEY = "value"


@dataclass(frozen=True, slots=True)
class SecretRef:
    """One key of a secret."""

    name: str
    key: str = DEFAULT_KEY

    @property
    def id(self) -> str:
        """How the resolved value is found: "name/key"."""
        return f"{self.name}/{self.key}"


def parse_ref(text: str) -> SecretRef | None:
    """The reference that `text` is, None where it is a value. Raises ValueError for a malformed reference."""
    if not text.startswith(SCHEME):
        return None
    name, slash, key = text.removeprefix(SCHEME).partition("/")
    key = key if slash else DEFAULT_KEY
    if not NAME.fullmatch(name) or not KEY.fullmatch(key):
        raise ValueError(text)
    return SecretRef(name, key)


def values_that_may_refer(spec: ServiceSpec) -> Iterator[tuple[Path, str]]:
    """Every value in whose place a reference may stand, with its path."""
    for index, container in enumerate(spec.containers):
        for number, variable in enumerate(container.env):
            yield ("containers", index, "env", number, "value"), variable.value
    for number, variable in enumerate(spec.processor_envs):
        yield ("processor_envs", number, "value"), variable.value
    if spec.docker_auth:
        yield ("dockerAuth",), spec.docker_auth
    for index, mount in enumerate(spec.storage):
        if mount.git is not None:
            for key in ("username", "password"):
                if value := getattr(mount.git, key):
                    yield ("storage", index, "git", key), value
        if mount.image is not None and mount.image.docker_auth:
            yield ("storage", index, "image", "dockerAuth"), mount.image.docker_auth


def references(spec: ServiceSpec) -> tuple[tuple[Path, SecretRef], ...]:
    """The references of an accepted document, with their paths."""
    parsed = ((path, parse_ref(value)) for path, value in values_that_may_refer(spec))
    return tuple((path, ref) for path, ref in parsed if ref is not None)


def resolved(text: str, secrets: Mapping[str, str]) -> str:
    """The value that `text` is or refers to, from values by "name/key". Raises KeyError with the id."""
    ref = parse_ref(text)
    return text if ref is None else secrets[ref.id]


def bucket_secrets(oss: Oss) -> tuple[str, ...]:
    """The names of the secrets that may open a bucket, the first that exists counts.

    Its keys, each optional, are `endpoint`, `region`, `access_key_id`, `secret_access_key`, `session_token`.
    """
    return (oss.secret,) if oss.secret else (f"oss-{oss.bucket}", "oss")
