"""Credentials: made, kept as hashes, looked up by hash."""

import hashlib
import os
import secrets
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from libs.db.changes import Changes
from libs.domain.errors import FailedPrecondition
from libs.domain.records import Token
from libs.domain.states import TokenRole
from services.scheduler.ledger import Ledger
from services.scheduler.world import World


def new_secret() -> str:
    """256 random bits as URL-safe text."""
    return secrets.token_urlsafe(32)


def fingerprint(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


class RoleOf:
    """Tells the role of a secret from the picture; a lookup by hash, so timing says nothing of the secret."""

    def __init__(self, world: World, ledger: Ledger) -> None:
        self._world = world
        self._read_all()
        ledger.subscribe(self._learn)

    def __call__(self, secret: str) -> TokenRole | None:
        return self._roles.get(fingerprint(secret))

    def _learn(self, changes: Changes) -> None:
        if any(isinstance(record, Token) for record in (*changes.put, *changes.delete)):
            self._read_all()

    def _read_all(self) -> None:
        self._roles = {t.secret_sha256: t.role for t in self._world.tokens.values()}


async def ensure_token_file(
    ledger: Ledger, path: Path, name: str, role: TokenRole, clock: Callable[[], datetime]
) -> None:
    """Makes the secret in `path` open what `role` opens; a missing file is made with a new secret."""
    secret = read_or_make(path)
    digest = fingerprint(secret)

    def decide(world: World) -> Changes:
        if any(t.secret_sha256 == digest and t.role is role for t in world.tokens.values()):
            return Changes()
        stale = tuple(t for t in world.tokens.values() if t.name == name)
        token = Token(f"tok-{secrets.token_hex(4)}", name, role, digest, clock())
        return Changes(put=(token,), delete=stale)

    await ledger.change(decide)


def read_or_make(path: Path) -> str:
    """The secret in `path`; raises FailedPrecondition when the file is empty."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        secret = path.read_text().strip()
        if not secret:
            raise FailedPrecondition(f"{path} is empty; write a token into it or delete it") from None
        return secret
    secret = new_secret()
    with os.fdopen(handle, "w") as file:
        file.write(secret + "\n")
    return secret
