"""The keys that seal secrets: from a setting, or from a file that is made when there is none."""

import logging
from collections.abc import Iterable
from pathlib import Path

from cryptography.fernet import Fernet

from libs.files import replace_file

log = logging.getLogger(__name__)


def read_keys(file: Path, given: str) -> tuple[str, ...]:
    """The keys of `given`, separated by commas, else the lines of `file`; the first seals, all open.

    A missing or empty file is made with one new key. What is no key is left out and logged, and so is a file
    that cannot be used: without a key nothing can be sealed or opened, and everything else goes on.
    """
    if given.strip():
        return _usable(given.split(","), "EASEL_SCHEDULER_SECRETS_KEY")
    try:
        return _usable(_lines(file), str(file))
    except OSError as error:
        log.error(
            "there are no keys for secrets",
            extra={"why": f"{file} cannot be used: {error.strerror or error}"},
        )
        return ()


def _lines(file: Path) -> list[str]:
    try:
        lines = file.read_text(encoding="ascii", errors="replace").split()
    except FileNotFoundError:
        lines = []
    if lines:
        return lines
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    made = Fernet.generate_key()
    # Durable, because what is sealed with a lost key is lost too.
    replace_file(file, made + b"\n", durable=True)
    return [made.decode()]


def _usable(written: Iterable[str], origin: str) -> tuple[str, ...]:
    usable = []
    for number, key in enumerate(filter(None, (each.strip() for each in written)), start=1):
        try:
            Fernet(key)
        except ValueError:
            why = f"key {number} of {origin} is not 32 bytes in URL-safe base64"
            log.error("a key for secrets is left out", extra={"why": why})
        else:
            usable.append(key)
    return tuple(usable)
