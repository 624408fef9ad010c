"""Where a part finds the token that it shows to others."""

from pathlib import Path


def token_of(given: str, file: Path | None) -> str:
    """The token: given outright, or read from its file. Empty when there is neither. Raises OSError."""
    return given if given or file is None else file.read_text(encoding="utf-8").strip()
