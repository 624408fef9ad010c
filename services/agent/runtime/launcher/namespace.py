"""A view of the file system for one program: the host's, with the instance's mounts in their places.

A new root is built on a tmpfs: every top-level entry of the host is bound back, and where a mount point does
not exist, its nearest existing ancestor is covered with a tmpfs whose children are bound back. Nothing
outside the namespace is changed.
"""

import ctypes
import os
import stat
from typing import Any

_CLONE_NEWNS, _CLONE_NEWUSER = 0x00020000, 0x10000000
_MS_RDONLY, _MS_NOSUID, _MS_NODEV, _MS_NOEXEC, _MS_REMOUNT = 1, 2, 4, 8, 32
_MS_NOATIME, _MS_NODIRATIME, _MS_BIND, _MS_REC, _MS_PRIVATE = 1024, 2048, 4096, 16384, 1 << 18
_MS_UNBINDABLE, _MS_RELATIME = 1 << 17, 1 << 21
_KEPT = {
    os.ST_NOSUID: _MS_NOSUID,
    os.ST_NODEV: _MS_NODEV,
    os.ST_NOEXEC: _MS_NOEXEC,
    os.ST_NOATIME: _MS_NOATIME,
    os.ST_NODIRATIME: _MS_NODIRATIME,
    os.ST_RELATIME: _MS_RELATIME,
}
_MNT_DETACH = 2
_SYS_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
_ADVICE = (
    "run the agent as root, or allow user namespaces (sysctl user.max_user_namespaces above 0 and "
    "kernel.unprivileged_userns_clone=1 where it exists), or use the docker runtime"
)
_libc = ctypes.CDLL(None, use_errno=True)


def enter(mounts: list[dict[str, Any]], root: str) -> None:
    """Moves this process into the view. `root` is an empty directory. Raises OSError with a sentence."""
    _unshare(mounts[0]["path"])
    mount = mounts[0]
    try:
        _mount(None, "/", None, _MS_REC | _MS_PRIVATE)
        view = _View(root)
        for mount in mounts:
            view.add(mount)
        _pivot(root)
    except OSError as refused:
        problem = os.strerror(refused.errno) if refused.errno else str(refused)
        where = refused.filename or root
        raise OSError(f"cannot mount {mount['path']}: {problem} ({where}); {_ADVICE}") from refused


def _unshare(first: str) -> None:
    if _libc.unshare(_CLONE_NEWNS) == 0:
        return
    uid, gid = os.getuid(), os.getgid()
    if _libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNS) != 0:
        number = ctypes.get_errno()
        raise OSError(
            f"cannot mount {first}: the kernel refuses this user a mount namespace "
            f"({os.strerror(number)}); {_ADVICE}"
        )
    maps = (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1"))
    for name, content in maps:
        with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
            file.write(content)


class _View:
    """The new root under construction, at `root`."""

    def __init__(self, root: str) -> None:
        self._root, self._own = root, {"/"}
        self._tmpfs(root, "size=16m,mode=755")
        _mount(None, root, None, _MS_UNBINDABLE)  # The view does not contain itself.
        self._bind_children("/")

    def add(self, mount: dict[str, Any]) -> None:
        """Puts one mount in its place."""
        path = self._real(mount["path"])
        self._ensure_directory(path)
        place = self._root + path
        if mount["kind"] == "memory":
            size = f"size={mount['size_mib']}m," if mount["size_mib"] else ""
            self._tmpfs(place, f"{size}mode=1777")
            return
        if mount["kind"] == "nfs":
            _mount_nfs(mount, place)
            return
        _mount(mount["source"], place, None, _MS_BIND | _MS_REC)
        if mount["read_only"]:
            flags = sum(set_ for shown, set_ in _KEPT.items() if os.statvfs(place).f_flag & shown)
            _mount(None, place, None, _MS_REMOUNT | _MS_BIND | _MS_RDONLY | flags)

    def _real(self, path: str) -> str:
        """The mount path with the host's links resolved, since they are resolved inside the view as well."""
        return os.path.realpath(path)

    def _ensure_directory(self, path: str) -> None:
        if os.path.isdir(self._root + path):
            return
        parent = os.path.dirname(path)
        self._ensure_directory(parent)
        if parent not in self._own:
            self._cover(parent)
        os.mkdir(self._root + path)
        self._own.add(path)

    def _cover(self, path: str) -> None:
        """Makes an existing directory writable to this view alone, with the same children."""
        info = os.stat(path)
        self._tmpfs(self._root + path, f"size=16m,mode={stat.S_IMODE(info.st_mode):o}")
        self._own.add(path)
        self._bind_children(path)

    def _bind_children(self, path: str) -> None:
        for name in os.listdir(path):
            source = os.path.join(path, name)
            place = self._root + source
            try:
                mode = os.lstat(source).st_mode
            except OSError:
                continue
            if stat.S_ISLNK(mode):
                os.symlink(os.readlink(source), place)
            elif stat.S_ISDIR(mode):
                os.mkdir(place)
                _bind_or_skip(source, place)
            else:
                os.close(os.open(place, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600))
                _bind_or_skip(source, place)

    def _tmpfs(self, place: str, options: str) -> None:
        _mount("tmpfs", place, "tmpfs", _MS_NOSUID | _MS_NODEV, options)


def _bind_or_skip(source: str, place: str) -> None:
    """Binds what this user may see; the rest stays empty."""
    try:
        _mount(source, place, None, _MS_BIND | _MS_REC)
    except PermissionError:
        return


def _mount_nfs(mount: dict[str, Any], place: str) -> None:
    """By the system's own tool, which asks the server; a server that is away is not waited for."""
    access = "ro" if mount["read_only"] else "rw"
    options = ",".join(filter(None, (access, "retry=0", mount["options"])))
    reader, writer = os.pipe2(os.O_CLOEXEC)
    said = [(os.POSIX_SPAWN_DUP2, writer, 1), (os.POSIX_SPAWN_DUP2, writer, 2)]
    words = ["mount.nfs", mount["source"], place, "-o", options]
    try:
        tool = os.posix_spawnp("mount.nfs", words, os.environ, file_actions=said)
    finally:
        os.close(writer)
    with os.fdopen(reader, encoding="utf-8", errors="replace") as answer:
        complaint = " ".join(answer.read().split())
    if os.waitstatus_to_exitcode(os.waitpid(tool, 0)[1]) != 0:
        raise OSError(complaint or f"mount.nfs refused {mount['source']}")


def _mount(source: str | None, target: str, kind: str | None, flags: int, options: str = "") -> None:
    arguments = [text.encode() if text is not None else None for text in (source, target, kind)]
    if _libc.mount(*arguments, ctypes.c_ulong(flags), options.encode() or None) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), source or target)


def _pivot(root: str) -> None:
    number = _SYS_PIVOT_ROOT.get(os.uname().machine)
    os.chdir(root)
    if number is None or _libc.syscall(number, b".", b".") != 0:
        os.chroot(".")
    elif _libc.umount2(b".", _MNT_DETACH) != 0:
        failed = ctypes.get_errno()
        raise OSError(failed, os.strerror(failed), "the old root")
    os.chdir("/")
