"""Below which directories `host_path` may ask for any: what `--host-root` said once is kept."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from libs.domain.errors import EaselError
from libs.files import replace_file

_FILE = "host_roots.json"


def kept_roots(data_dir: Path) -> list[Path]:
    """What earlier starts on this data directory were given. Raises `EaselError` when it cannot be read."""
    path = data_dir / _FILE
    try:
        found = json.loads(path.read_bytes())
        if not isinstance(found, list):
            raise TypeError
        return [Path(each) for each in found]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise EaselError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, TypeError) as error:
        raise EaselError(
            f"{path} is damaged; delete it, and name the directories again with --host-root DIR"
        ) from error


def keep_roots(data_dir: Path, roots: Sequence[Path]) -> None:
    """Keeps them for the next start. Raises `EaselError` when they cannot be written."""
    path = data_dir / _FILE
    try:
        replace_file(path, f"{json.dumps([str(each) for each in roots], indent=2)}\n".encode())
    except OSError as error:
        raise EaselError(f"{path} cannot be written: {error.strerror}") from error


def merged_roots(before: Sequence[Path], given: Mapping[Path, bool]) -> list[Path]:
    """The directories of before with those given now; one that is given as False goes."""
    now = {**dict.fromkeys(before, True), **given}
    return sorted(path for path, stays in now.items() if stays)
