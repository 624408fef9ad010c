"""The directory that one Easel keeps everything in, and the lock that lets one process at a time use it."""

import contextlib
import fcntl
import json
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from libs.domain.errors import EaselError

_LOCK = "easel.lock"
LOG = "easel.log"
_LOG_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True)
class Running:
    """What the process that holds a data directory says about itself. `ready_at` 0 is not ready yet."""

    pid: int
    scheduler: str
    gateway: str
    runtime: str = ""
    ready_at: float = 0.0


class AlreadyRunning(EaselError):
    """Another process uses the data directory."""


def prepare(data_dir: Path) -> None:
    """Makes the directory, for its owner alone, and the tokens in it. Safe to call again."""
    try:
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        for name in ("admin.token", "join.token"):
            _ensure_secret(data_dir / name)
    except OSError as error:
        raise EaselError(f"{data_dir} cannot be used as data directory: {error.strerror}") from error


def _ensure_secret(path: Path) -> None:
    """Whole or not at all; an empty file, which a full disk may leave, is no secret."""
    with contextlib.suppress(FileNotFoundError):
        if path.read_text(encoding="ascii", errors="replace").strip():
            return
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        descriptor = os.open(draft, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(32) + "\n")
        # Another process may have been faster; of two secrets the first stays.
        if path.exists() and not path.stat().st_size:
            path.unlink(missing_ok=True)
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink(missing_ok=True)


class Lock:
    """The held lock; it is given back when the process ends, however it ends."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def tell(self, running: Running | None) -> None:
        """Writes who holds it, for others to read."""
        content = b"" if running is None else json.dumps(asdict(running)).encode()
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, content, 0)


@contextmanager
def locked(data_dir: Path, patience: float = 0.3) -> Iterator[Lock]:
    """Holds the data directory. Raises `AlreadyRunning`, saying who does, when another process does."""
    descriptor = os.open(data_dir / _LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        ends = time.monotonic() + patience
        while not _taken(descriptor):
            holder = _told(data_dir)
            if holder is not None or time.monotonic() > ends:
                raise AlreadyRunning(_sentence(data_dir, holder))
            time.sleep(0.02)
        lock = Lock(descriptor)
        # What a killed holder said of itself is not true of this one.
        lock.tell(None)
        yield lock
        lock.tell(None)
    finally:
        os.close(descriptor)


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _told(data_dir: Path) -> Running | None:
    try:
        return Running(**json.loads((data_dir / _LOCK).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _sentence(data_dir: Path, holder: Running | None) -> str:
    if holder is None:
        return f"Easel is just starting or stopping on {data_dir}"
    return (
        f"Easel already runs on {data_dir} (process {holder.pid}, gateway {holder.gateway}, "
        f"admin API {holder.scheduler}); `easel down` stops it"
    )


def in_use(data_dir: Path) -> bool:
    """Whether a process holds the data directory."""
    try:
        descriptor = os.open(data_dir / _LOCK, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def running_on(data_dir: Path) -> Running | None:
    """What the process that holds the data directory says; None when none holds it."""
    return _told(data_dir) if in_use(data_dir) else None


def left_behind(data_dir: Path) -> int:
    """How many processes an Easel that was killed left running: its Envoy and its instances."""
    import psutil

    found = 0
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            at_work = Path(process.cwd()).is_relative_to(data_dir / "agent" / "instances")
            envoy = str(data_dir / "gateway" / "envoy.json") in process.cmdline()
            found += at_work or envoy
    return found


def open_log(data_dir: Path) -> int:
    """A descriptor that appends to the log; one that grew large is put aside first."""
    path = data_dir / LOG
    with contextlib.suppress(FileNotFoundError):
        if path.stat().st_size > _LOG_BYTES:
            path.replace(path.with_suffix(".log.1"))
    return os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC, 0o600)


def bound_log(data_dir: Path) -> None:
    """Puts the log aside when it grew large and is where this process writes to. Cheap; call it often."""
    path = data_dir / LOG
    with contextlib.suppress(OSError):
        mine, named = os.fstat(2), path.stat()
        if (mine.st_dev, mine.st_ino) != (named.st_dev, named.st_ino) or named.st_size <= _LOG_BYTES:
            return
        fresh = open_log(data_dir)
        for target in (1, 2):
            os.dup2(fresh, target)
        os.close(fresh)


def log_tail(data_dir: Path, since: int, lines: int = 20) -> list[str]:
    """The last lines that were logged after the first `since` bytes."""
    try:
        with (data_dir / LOG).open("rb") as file:
            file.seek(since)
            return file.read().decode("utf-8", errors="replace").splitlines()[-lines:]
    except OSError:
        return []
