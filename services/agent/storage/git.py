"""Repositories over HTTP: one bare copy each on the node, and a read-only directory for each commit."""

import asyncio
import os
import re
import shutil
import signal
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from libs.domain.causes import Cause
from libs.domain.states import InstanceState
from services.agent.runtime.port import Phase, PrepareFailed
from services.agent.storage.failures import disk_failure
from services.agent.storage.layout import Layout, identity_of
from services.agent.storage.locks import locked
from services.agent.storage.snapshots import Snapshots, use
from services.agent.storage.sources import GitSource

_COMMIT = re.compile(r"[0-9a-fA-F]{4,64}")
_WHOLE = 40
_SAID_KEPT = 2000
# The user and the password stand in the environment of git alone, never in its words or on the disk.
_ANSWER = (
    '!f() { test "$1" = get && '
    'printf "username=%s\\npassword=%s\\n" "$EASEL_GIT_USER" "$EASEL_GIT_WORD"; }; f'
)
_CAUSES = (
    (
        ("Authentication failed", "could not read Username", "error: 403", "error: 401", "Access denied"),
        Cause.STORAGE_ACCESS_DENIED,
    ),
    (("not found", "couldn't find remote ref", "not our ref", "unknown revision"), Cause.STORAGE_NOT_FOUND),
    (("No space left",), Cause.NO_SPACE),
    (
        ("unable to access", "Could not resolve", "hung up", "early EOF", "RPC failed", "error: 5"),
        Cause.STORAGE_UNREACHABLE,
    ),
)


class _Refused(Exception):
    """What git said."""


@dataclass(frozen=True)
class Repositories:
    """Fetches commits. `environment` is what git finds in its own."""

    layout: Layout
    snapshots: Snapshots
    environment: Mapping[str, str]

    async def ensure(self, source: GitSource, place: Path, phase: Phase) -> None:
        """Makes `place` a link to a directory with the files of the commit. Raises PrepareFailed."""
        source = with_login(source)
        if shutil.which("git", path=self.environment.get("PATH")) is None:
            raise PrepareFailed(f"{source.repo}: this node has no git; install it, or mount another source")
        if source.commit and not _COMMIT.fullmatch(source.commit):
            raise PrepareFailed(f"{source.repo}: {source.commit!r} is not the hash of a commit")
        phase(InstanceState.PREPARING, f"fetching {source.repo}")
        try:
            await self._ensure(source, place, phase)
        except _Refused as refused:
            raise failure_of(source, str(refused)) from refused
        except OSError as refused:
            raise disk_failure(refused, source.repo) from refused

    async def _ensure(self, source: GitSource, place: Path, phase: Phase) -> None:
        identity = identity_of("repository", source.repo)
        async with locked(self.layout.lock(identity), phase.moved) as lock:
            git = _Git(self.layout.repository(identity), source, self, phase, lock)
            await git.begin()
            commit = await git.commit()
            checkout = identity_of("commit", source.repo, commit)
            async with locked(self.layout.lock(checkout), phase.moved):
                snapshot = await asyncio.to_thread(self.snapshots.find, checkout, phase.moved)
                if snapshot is None:
                    snapshot = await asyncio.to_thread(self.snapshots.begin, checkout)
                    await git.check_out(commit, snapshot)
                    await asyncio.to_thread(self.snapshots.complete_as_it_is, snapshot, phase.moved)
                await asyncio.to_thread(use, place, snapshot)


@dataclass(frozen=True)
class _Git:
    """The git tool at one bare repository, whose lock is held, also by what it starts."""

    directory: Path
    source: GitSource
    owner: Repositories
    phase: Phase
    lock: int

    async def begin(self) -> None:
        """Makes the repository; locks of a git that was killed are removed."""
        if not (self.directory / "HEAD").exists():
            await self._run("init", "--quiet", "--bare", str(self.directory))
        for left in self.directory.rglob("*.lock"):
            left.unlink(missing_ok=True)

    async def commit(self) -> str:
        """The commit that is asked for, fetched."""
        wished = self.source.commit
        if not wished:
            return await self._fetch_branch(shallow=True)
        known = await self._resolved(wished)
        if known is None and len(wished) >= _WHOLE:
            with suppress(_Refused):
                await self._fetch(wished, f"refs/easel/commits/{wished}", shallow=True)
                known = await self._resolved(wished)
        if known is None:
            await self._fetch_branch(shallow=False)
            known = await self._resolved(wished)
        if known is None:
            raise _Refused(f"commit {wished} not found in branch {self.source.branch}")
        return known

    async def check_out(self, commit: str, place: Path) -> None:
        """Puts the files of a commit into an empty directory."""
        index = self.directory / "easel-index"
        try:
            words = ("--work-tree", str(place), "read-tree", "--reset", "-u", "-v", commit)
            await self._run("--git-dir", str(self.directory), *words, more={"GIT_INDEX_FILE": str(index)})
        finally:
            index.unlink(missing_ok=True)

    async def _fetch_branch(self, *, shallow: bool) -> str:
        ref = f"refs/easel/branches/{self.source.branch}"
        branch = f"refs/heads/{self.source.branch}"
        try:
            await self._fetch(branch, ref, shallow=shallow)
        except _Refused as refused:
            if not shallow or "shallow" not in str(refused):
                raise
            await self._fetch(branch, ref, shallow=False)
        return (await self._run("--git-dir", str(self.directory), "rev-parse", f"{ref}^{{commit}}")).strip()

    async def _fetch(self, wished: str, ref: str, *, shallow: bool) -> None:
        whole = ("--unshallow",) if (self.directory / "shallow").exists() else ()
        depth = ("--depth", "1") if shallow else whole
        words = ("fetch", "--progress", "--no-tags", "--no-auto-gc", *depth, self.source.repo)
        await self._run("--git-dir", str(self.directory), *words, f"+{wished}:{ref}")

    async def _resolved(self, commit: str) -> str | None:
        try:
            words = ("rev-parse", "--verify", "--quiet", f"{commit}^{{commit}}")
            return (await self._run("--git-dir", str(self.directory), *words)).strip()
        except _Refused:
            return None

    async def _run(self, *words: str, more: Mapping[str, str] | None = None) -> str:
        """What git wrote. Raises _Refused with its complaint."""
        # For its own host alone: an answer of the server may send git elsewhere.
        own = f"credential.{origin_of(self.source.repo)}"
        helper = ("-c", "credential.helper=", "-c", f"{own}.helper={_ANSWER}")
        process = await asyncio.create_subprocess_exec(
            "git",
            *(helper if self.source.username or self.source.password else ()),
            *words,
            env={**self.owner.environment, **environment_of(self.source), **(more or {})},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
            pass_fds=(self.lock,),
        )
        assert process.stdout is not None and process.stderr is not None  # noqa: S101
        try:
            said, complaint = await asyncio.gather(process.stdout.read(), self._complaint(process.stderr))
            await process.wait()
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                await process.wait()
        if process.returncode != 0:
            raise _Refused(complaint)
        return said.decode(errors="replace")

    async def _complaint(self, stream: asyncio.StreamReader) -> str:
        """The last words; each of them is a sign of life."""
        kept = b""
        while chunk := await stream.read(4096):
            self.phase.moved()
            kept = (kept + chunk)[-_SAID_KEPT:]
        lines = [line.strip() for line in kept.decode(errors="replace").replace("\r", "\n").splitlines()]
        telling = [line for line in lines if line.startswith(("fatal:", "error:", "remote:"))]
        return "; ".join(telling or [line for line in lines if line][-3:])


def origin_of(repo: str) -> str:
    """Scheme, host and port of an address."""
    parts = urlsplit(repo)
    return f"{parts.scheme}://{parts.netloc}"


def environment_of(source: GitSource) -> dict[str, str]:
    """What keeps git from asking anybody, and lets it answer for itself."""
    return {
        "LC_ALL": "C",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "true",
        "GIT_ALLOW_PROTOCOL": "http:https",
        "GIT_HTTP_LOW_SPEED_LIMIT": "1000",
        "GIT_HTTP_LOW_SPEED_TIME": "60",
        "EASEL_GIT_USER": source.username,
        "EASEL_GIT_WORD": source.password,
    }


def with_login(source: GitSource) -> GitSource:
    """A user and a password in the address are taken out of it; those of their own keys count first."""
    parts = urlsplit(source.repo)
    if "@" not in parts.netloc:
        return source
    login, _, host = parts.netloc.rpartition("@")
    user, _, password = login.partition(":")
    return replace(
        source,
        repo=urlunsplit(parts._replace(netloc=host)),
        username=source.username or unquote(user),
        password=source.password or unquote(password),
    )


def failure_of(source: GitSource, said: str) -> PrepareFailed:
    """What git said, without what opens the repository."""
    for word in filter(None, (source.password, source.username)):
        said = said.replace(word, "…")
    cause = next((cause for words, cause in _CAUSES if any(word in said for word in words)), None)
    return PrepareFailed(f"{source.repo}: it cannot be fetched: {said or 'git said nothing'}", cause)
