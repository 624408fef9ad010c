"""Where the unix sockets of a service are."""

import hashlib
import os
import stat
import tempfile
from pathlib import Path

from libs.domain.errors import FailedPrecondition

# What the kernel takes in a socket's address, with room to spare.
_LONGEST = 100


def socket_address(data_dir: Path, name: str) -> str:
    """A socket's "unix:/path", the same at every start: in `data_dir`, or elsewhere if that is too long.

    Raises FailedPrecondition when others have, or could reach, the directory elsewhere.
    """
    path = data_dir.resolve() / name
    if len(str(path)) > _LONGEST:
        mark = hashlib.blake2b(str(data_dir.resolve()).encode(), digest_size=8).hexdigest()
        directory = Path(tempfile.gettempdir()) / f"easel-{os.getuid()}-{mark}"
        directory.mkdir(mode=0o700, exist_ok=True)
        found = directory.lstat()
        if found.st_uid != os.getuid() or stat.S_IMODE(found.st_mode) != 0o700:
            raise FailedPrecondition(f"{directory} is open to other users; choose a shorter data_dir")
        path = directory / name
    return f"unix:{path}"
