"""What the environment tells the command line: read here and nowhere else."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class CliSettings:
    """`data_dir` is where `easel up` keeps everything, `data_dir_named` whether the operator chose it;
    `debug` lets bugs show their traceback."""

    data_dir: Path
    data_dir_named: bool = False
    debug: bool = False
    otlp_endpoint: str = ""
    log_level: str = "INFO"


def cli_settings(environ: Mapping[str, str] | None = None) -> CliSettings:
    """Reads EASEL_DATA_DIR, EASEL_DEBUG, EASEL_OTLP_ENDPOINT and EASEL_LOG_LEVEL."""
    env = os.environ if environ is None else environ
    share = env.get("XDG_DATA_HOME") or "~/.local/share"
    data_dir = env.get("EASEL_DATA_DIR") or f"{share}/easel"
    return CliSettings(
        data_dir=Path(data_dir).expanduser().absolute(),
        data_dir_named=bool(env.get("EASEL_DATA_DIR")),
        debug=env.get("EASEL_DEBUG", "") not in ("", "0", "false"),
        otlp_endpoint=env.get("EASEL_OTLP_ENDPOINT", ""),
        log_level=env.get("EASEL_LOG_LEVEL", "INFO"),
    )
