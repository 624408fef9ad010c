"""Where the unix sockets of a gateway are."""

import hashlib
import os
import tempfile
from pathlib import Path

from libs.domain.errors import FailedPrecondition

# What the kernel takes in a socket's address, with room to spare.
_LONGEST = 100


def socket_address(data_dir: Path, name: str) -> str:
    """A socket's "unix:/path", the same at every start: in `data_dir`, or elsewhere if that is too long.

    Raises FailedPrecondition when the directory elsewhere belongs to another user.
    """
    path = data_dir.resolve() / name
    if len(str(path)) > _LONGEST:
        mark = hashlib.blake2b(str(data_dir.resolve()).encode(), digest_size=8).hexdigest()
        directory = Path(tempfile.gettempdir()) / f"easel-{os.getuid()}-{mark}"
        directory.mkdir(mode=0o700, exist_ok=True)
        if directory.stat().st_uid != os.getuid():
            raise FailedPrecondition(f"{directory} belongs to another user; choose a shorter data_dir")
        path = directory / name
    return f"unix:{path}"
