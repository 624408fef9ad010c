"""Running in the background: a child in a session of its own that says when it is ready, or why not."""

import json
import os
import select
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from cli.data_dir import LOG, log_tail, open_log
from cli.exits import Exit, code_of
from libs.domain.errors import EaselError

Tell = Callable[[dict[str, Any]], None]


def detached(data_dir: Path, work: Callable[[Tell], None], within: float) -> dict[str, Any]:
    """Starts `work` in the background; returns what it told first, which is when it is ready.

    Its output goes to the log in the data directory. Raises `EaselError` with its reason, and the end of
    its log, when it ends without a word or is silent for `within` seconds.
    """
    since = (data_dir / LOG).stat().st_size if (data_dir / LOG).exists() else 0
    reading, writing = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _be_the_child(data_dir, work, writing)
    os.close(writing)
    with os.fdopen(reading, "rb") as told:
        return _first_word(told.fileno(), child, data_dir, since, within)


def _first_word(told: int, child: int, data_dir: Path, since: int, within: float) -> dict[str, Any]:
    ends = time.monotonic() + within
    heard = b""
    while not heard.endswith(b"\n"):
        left = ends - time.monotonic()
        if left <= 0 or not select.select([told], [], [], left)[0]:
            raise _failed(f"Easel is not ready after {within:g} s (process {child} goes on)", data_dir, since)
        piece = os.read(told, 65_536)
        if not piece:
            raise _failed("Easel ended before it was ready", data_dir, since)
        heard += piece
    word: dict[str, Any] = json.loads(heard)
    if "failed" in word:
        raise _failed(word["failed"], data_dir, since) if word["bug"] else EaselError(word["failed"])
    return word


def _failed(sentence: str, data_dir: Path, since: int) -> EaselError:
    tail = "\n".join(f"  | {line}" for line in log_tail(data_dir, since))
    where = f"; its log is {data_dir / LOG}"
    return EaselError(f"{sentence}{where}" + (f" and ends with:\n{tail}" if tail else ""))


def _be_the_child(data_dir: Path, work: Callable[[Tell], None], writing: int) -> NoReturn:
    code: int = Exit.FAILED
    try:
        os.setsid()
        log, nothing = open_log(data_dir), os.open(os.devnull, os.O_RDONLY)
        for descriptor, target in ((nothing, 0), (log, 1), (log, 2)):
            os.dup2(descriptor, target)
        work(lambda word: _tell(writing, word))
        code = Exit.OK
    except EaselError as refused:
        sys.stderr.write(f"easel: {refused}\n")
        _tell(writing, {"failed": str(refused), "bug": False})
        code = code_of(refused)
    except BaseException as bug:
        import traceback

        traceback.print_exc()
        _tell(writing, {"failed": f"{type(bug).__name__}: {bug}", "bug": True})
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _tell(writing: int, word: dict[str, Any]) -> None:
    import contextlib

    with contextlib.suppress(OSError):  # Whoever asked may have stopped listening.
        os.write(writing, json.dumps(word).encode() + b"\n")
