"""Which directory of this machine stands for which bucket: what `--bucket` said once is kept."""

import json
from collections.abc import Mapping
from pathlib import Path

from libs.domain.errors import EaselError
from libs.files import replace_file

_FILE = "buckets.json"
Buckets = Mapping[str, Path]


def kept(data_dir: Path) -> dict[str, Path]:
    """What earlier starts on this data directory were given. Raises `EaselError` when it cannot be read."""
    path = data_dir / _FILE
    try:
        return {str(name): Path(where) for name, where in json.loads(path.read_bytes()).items()}
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise EaselError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, AttributeError, TypeError) as error:
        raise EaselError(
            f"{path} is damaged; delete it, and name the buckets again with --bucket NAME=DIR"
        ) from error


def keep(data_dir: Path, buckets: Buckets) -> None:
    """Keeps them for the next start. Raises `EaselError` when they cannot be written."""
    path, content = data_dir / _FILE, {name: str(where) for name, where in buckets.items()}
    try:
        replace_file(path, f"{json.dumps(content, indent=2)}\n".encode())
    except OSError as error:
        raise EaselError(f"{path} cannot be written: {error.strerror}") from error


def merged(before: Buckets, given: Mapping[str, Path | None]) -> dict[str, Path]:
    """The buckets of before with those given now; one that is given as None goes."""
    now: dict[str, Path | None] = {**before, **given}
    return {name: where for name, where in sorted(now.items()) if where is not None}
