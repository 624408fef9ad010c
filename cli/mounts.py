"""Where the mounts of a service come from, in words. Pure."""

from collections.abc import Mapping
from typing import Any


def mounts(storage: object) -> list[str]:
    """A sentence for each entry of `storage`: "/mnt/faces from dataset faces, version 2, read-only"."""
    entries = storage if isinstance(storage, list | tuple) else ()
    return [_mount(each) for each in entries if isinstance(each, Mapping) and each.get("mount_path")]


def _mount(entry: Mapping[str, Any]) -> str:
    for kind, told in _SOURCES.items():
        source = entry.get(kind)
        if isinstance(source, Mapping):
            held = ", read-only" if _read_only(kind, source) else ""
            return f"{entry['mount_path']} from {told(source)}{held}"
    return str(entry["mount_path"])


def _read_only(kind: str, source: Mapping[str, Any]) -> bool:
    if kind in ("git", "image"):
        return True
    set_to = source.get("read_only") if kind == "dataset" else source.get("readOnly")
    return kind == "dataset" if set_to is None else str(set_to).lower() == "true"


def _dataset(source: Mapping[str, Any]) -> str:
    version = source.get("version")
    return f"dataset {source.get('id')}, {f'version {version}' if version else 'the newest version'}"


def _git(source: Mapping[str, Any]) -> str:
    commit = source.get("commit")
    return f"git {source.get('repo')}, " + (
        f"commit {commit}" if commit else f"branch {source.get('branch') or 'master'}"
    )


def _empty_dir(source: Mapping[str, Any]) -> str:
    where = "memory" if source.get("medium") == "memory" else "a directory of the instance"
    limit = source.get("size_limit")
    return f"{where}, at most {limit} GiB" if limit else where


_SOURCES = {
    "oss": lambda source: str(source.get("path")),
    "dataset": _dataset,
    "image": lambda source: f"image {source.get('image')}, {source.get('path') or '/'}",
    "git": _git,
    "nfs": lambda source: f"nfs {source.get('server')}:{source.get('path') or '/'}",
    "host_path": lambda source: f"host path {source.get('path')}",
    "empty_dir": _empty_dir,
}
