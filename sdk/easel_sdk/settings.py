"""What the environment tells the client library: read here and nowhere else."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ClientSettings:
    """`context_file` holds the contexts; a non-empty `context` picks one of them by name."""

    context_file: Path
    context: str = ""


def client_settings(environ: Mapping[str, str] | None = None) -> ClientSettings:
    """Reads EASEL_CONTEXT (the file's path) and EASEL_CONTEXT_NAME (the context to use)."""
    env = os.environ if environ is None else environ
    if named := env.get("EASEL_CONTEXT"):
        path = Path(named).expanduser()
    else:
        config = env.get("XDG_CONFIG_HOME") or "~/.config"
        path = Path(config).expanduser() / "easel" / "context.json"
    return ClientSettings(context_file=path, context=env.get("EASEL_CONTEXT_NAME", ""))
