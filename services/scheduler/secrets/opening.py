"""The vault at the start of the scheduler: its keys are read, and what an older key sealed is sealed anew."""

import logging
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from pydantic import SecretStr

from services.scheduler.ledger import Ledger
from services.scheduler.secrets.keys import read_keys
from services.scheduler.secrets.rules import resealed, unreadable
from services.scheduler.secrets.seal import Seal
from services.scheduler.secrets.vault import Vault
from services.scheduler.secrets.wants import UNREADABLE

log = logging.getLogger(__name__)


async def opened_vault(
    ledger: Ledger, key_file: Path, keys: SecretStr, clock: Callable[[], datetime]
) -> Vault:
    """Never fails for a wrong key: what it does not open is named in the log, and stays as it is."""
    vault = Vault(ledger.world, Seal(read_keys(key_file, keys.get_secret_value())))
    await ledger.change(lambda world: resealed(world, vault, clock()))
    for name in unreadable(ledger.world, vault):
        log.error("a secret cannot be read", extra={"secret": name, "why": UNREADABLE})
    return vault
