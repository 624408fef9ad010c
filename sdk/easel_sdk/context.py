"""The context file: where an Easel is and the token that opens it.

`{"current": name, "contexts": {name: {"scheduler", "gateway", "token", "data_dir"}}}`, mode 0600.
"""

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from easel_sdk.errors import InvalidContext, NoContext
from easel_sdk.settings import client_settings


@dataclass(frozen=True)
class Context:
    """One Easel: the scheduler's `host:port`, the gateway's URL and an admin token."""

    scheduler: str
    gateway: str = ""
    token: str = field(default="", repr=False)
    data_dir: str = ""


@dataclass(frozen=True)
class ContextFile:
    """The file's content as a value; `saved` and `using` return new ones."""

    current: str = ""
    contexts: Mapping[str, Context] = field(default_factory=dict)

    def chosen(self, name: str = "") -> Context:
        """The context called `name`, or the current one. Raises `NoContext` when there is none."""
        wanted = name or self.current
        if not wanted:
            raise NoContext(
                "no context yet; run `easel up`, or `easel context set NAME --scheduler HOST:PORT`"
            )
        if wanted not in self.contexts:
            known = ", ".join(sorted(self.contexts)) or "none"
            raise NoContext(f"no context named {wanted!r}; known: {known}")
        return self.contexts[wanted]

    def saved(self, name: str, context: Context, *, use: bool) -> "ContextFile":
        """This file with `context` under `name`, which becomes current if asked or the first."""
        contexts = {**self.contexts, name: context}
        return replace(self, contexts=contexts, current=name if use or not self.current else self.current)

    def using(self, name: str) -> "ContextFile":
        """This file with `name` as the current context. Raises `NoContext` when it is unknown."""
        self.chosen(name)
        return replace(self, current=name)


def read_contexts(path: Path) -> ContextFile:
    """Reads the file; a missing one is empty. Raises `InvalidContext` when it is not one."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ContextFile()
    except OSError as error:
        raise InvalidContext(f"{path}: cannot be read: {error.strerror}") from error
    try:
        found = json.loads(text)
        contexts = {
            str(name): Context(**{key: str(entry.get(key, "")) for key in Context.__dataclass_fields__})
            for name, entry in found.get("contexts", {}).items()
        }
        return ContextFile(current=str(found.get("current", "")), contexts=contexts)
    except (ValueError, AttributeError) as error:
        raise InvalidContext(
            f'{path}: expected {{"current": ..., "contexts": {{...}}}}; correct or remove the file'
        ) from error


def write_contexts(path: Path, contexts: ContextFile) -> None:
    """Replaces the file in one step, readable by its owner alone."""
    content = {
        "current": contexts.current,
        "contexts": {
            name: {key: value for key, value in vars(context).items() if value}
            for name, context in contexts.contexts.items()
        },
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".context-")  # mode 0600
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(content, file, indent=2)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except OSError as error:
        raise InvalidContext(f"{path}: cannot be written: {error.strerror}") from error


def current_context(name: str = "", path: Path | None = None) -> Context:
    """The context in force: `name`, else $EASEL_CONTEXT_NAME, else the file's current one."""
    settings = client_settings()
    return read_contexts(path or settings.context_file).chosen(name or settings.context)
