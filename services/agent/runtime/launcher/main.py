"""Runs the program of one instance and outlives the agent.

It is the leader of the instance's session and the reaper of its process tree. It writes monitor.json (who it
is) before it starts the program and exit.json (how that ended) after the whole tree is gone; it holds the
lock it inherited for as long as it lives. SIGTERM is passed on to the tree; SIGUSR1 kills it.
"""

import json
import os
import select
import signal
import time
from typing import Any

from services.agent.runtime.launcher import limits, namespace, output, tree

MEMORY_LOOK_EVERY = 0.25


def main(directory: str) -> None:
    """Runs the instance that `directory` describes, to its end."""
    os.chdir(directory)
    with open("launch.json", encoding="utf-8") as file:
        launch = json.load(file)
    os.set_inheritable(launch["lock_fd"], False)
    tree.adopt_orphans()
    waker = _wake_on((signal.SIGCHLD, signal.SIGTERM, signal.SIGUSR1))
    _write("monitor.json", {"pid": os.getpid(), "started": tree.start_ticks(os.getpid())})
    log = output.RotatedLog("log", launch["log_bytes"])
    bound = limits.MemoryBound(launch["memory_mib"], launch["cgroup"])
    try:
        child, reader = _start(launch)
    except OSError as refused:
        _write("exit.json", {"start_error": str(refused), "at": time.time()})
        return
    status = _supervise(child, reader, waker, log, bound)
    tree.kill_all()
    log.drain(reader)
    _write("exit.json", _ended(status, bound))
    bound.remove()


def _supervise(child: int, reader: int, waker: int, log: output.RotatedLog, bound: limits.MemoryBound) -> int:
    poll = select.poll()
    poll.register(reader, select.POLLIN)
    poll.register(waker, select.POLLIN)
    while True:
        timeout = MEMORY_LOOK_EVERY * 1000 if bound.watches else None
        for descriptor, event in poll.poll(timeout):
            if descriptor == reader and not log.take(reader) and event & select.POLLHUP:
                poll.unregister(reader)
            if descriptor == waker:
                _pass_on(os.read(waker, 512))
        if bound.exceeded():
            tree.kill_all()
        status = tree.reap(child)
        if status is not None:
            return status


def _pass_on(signals: bytes) -> None:
    if signal.SIGUSR1 in signals:
        tree.signal_all(signal.SIGKILL)
    elif signal.SIGTERM in signals:
        tree.signal_all(signal.SIGTERM)


def _start(launch: dict[str, Any]) -> tuple[int, int]:
    """Forks the program; its pid and the reading end of its output. Raises OSError with a sentence."""
    reader, writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    failed, fail = os.pipe2(os.O_CLOEXEC)
    os.set_blocking(writer, True)
    child = os.fork()
    if child == 0:
        _become(launch, writer, fail)
    os.close(writer)
    os.close(fail)
    with os.fdopen(failed, encoding="utf-8") as sentence:
        problem = sentence.read()
    if problem:
        os.waitpid(child, 0)
        raise OSError(problem)
    return child, reader


def _become(launch: dict[str, Any], writer: int, fail: int) -> None:
    """The child's part: never returns."""
    try:
        for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGUSR1, signal.SIGPIPE):
            signal.signal(number, signal.SIG_DFL)
        signal.set_wakeup_fd(-1)
        if launch["cgroup"]:
            limits.join(launch["cgroup"])
        if launch["mounts"]:
            namespace.enter(launch["mounts"], launch["root"])
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(writer, 1)
        os.dup2(writer, 2)
        os.chdir(launch["cwd"])
        tree.die_with_parent()
        os.execvpe(launch["argv"][0], launch["argv"], launch["env"])  # noqa: S606
    except FileNotFoundError as missing:
        os.write(fail, f"{missing.filename}: no such program or directory".encode())
    except BaseException as problem:
        os.write(fail, str(problem).encode() or b"unknown")
    os._exit(127)


def _ended(status: int, bound: limits.MemoryBound) -> dict[str, Any]:
    code = os.waitstatus_to_exitcode(status)
    return {
        "code": code if code >= 0 else None,
        "signal": -code if code < 0 else None,
        "out_of_memory": bound.was_exceeded(),
        "at": time.time(),
    }


def _wake_on(signals: tuple[signal.Signals, ...]) -> int:
    """A descriptor that becomes readable, one byte a signal, when one of them arrives."""
    reader, writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    for number in signals:
        signal.signal(number, lambda *_: None)
    return reader


def _write(name: str, content: dict[str, Any]) -> None:
    draft = f"{name}.draft"
    with open(draft, "w", encoding="utf-8") as file:
        json.dump(content, file)
    os.replace(draft, name)
