"""Runs one command beside the program of an instance: with its sight of the file system, its directory, its
environment and its control group. It stands alone, on the standard library."""

import ctypes
import json
import os

from services.agent.runtime.launcher import limits, tree

_CLONE_NEWNS, _CLONE_NEWUSER = 0x00020000, 0x10000000
_NOT_FOUND = 127
_libc = ctypes.CDLL(None, use_errno=True)


def main(directory: str, mark: str, command: list[str]) -> None:
    """Becomes the command; ends with 127 and a sentence where that cannot be. `mark` is NAME=VALUE."""
    try:
        tree.die_with_parent()
        os.chdir(directory)
        with open("launch.json", encoding="utf-8") as file:
            launch = json.load(file)
        with open("monitor.json", encoding="utf-8") as file:
            launcher = int(json.load(file)["pid"])
        if launch["cgroup"]:
            limits.join(launch["cgroup"])
        if launch["mounts"]:
            _enter(launcher)
        os.chdir(launch["cwd"])
        name, _, value = mark.partition("=")
        os.execvpe(command[0], command, {**launch["env"], name: value})  # noqa: S606
    except FileNotFoundError as missing:
        os.write(2, f"{missing.filename or command[0]}: no such program or directory".encode())
    except OSError as refused:
        os.write(2, f"{command[0]}: {refused}".encode())
    os._exit(_NOT_FOUND)


def _enter(launcher: int) -> None:
    """Joins the namespaces of what runs below the launcher."""
    with open(f"/proc/{launcher}/task/{launcher}/children", encoding="ascii") as file:
        pids = file.read().split()
    if not pids:
        raise OSError("its program does not run")
    spaces = (("user", _CLONE_NEWUSER), ("mnt", _CLONE_NEWNS))
    opened = [(os.open(f"/proc/{pids[0]}/ns/{name}", os.O_RDONLY), name, kind) for name, kind in spaces]
    for descriptor, name, kind in opened:
        if os.fstat(descriptor).st_ino == os.stat(f"/proc/self/ns/{name}").st_ino:
            continue
        if _libc.setns(descriptor, kind) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), f"the {name} namespace of the instance")
    for descriptor, _, _ in opened:
        os.close(descriptor)
