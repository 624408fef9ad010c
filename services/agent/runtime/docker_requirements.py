"""Python requirements of containers, installed once into a volume for every image and set of requirements.

The installer runs as root in a container of the same image with the instance's own mounts. It makes a
virtual environment that also finds the packages of the image. Instances have that mounted read-only: its
programs come first in PATH, and its packages are in PYTHONPATH for programs of the image's own Python.
"""

import asyncio
import io
import tarfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, TypeAlias

from libs.domain.causes import Cause
from libs.domain.errors import EaselError, Unavailable
from libs.domain.states import InstanceState
from services.agent.runtime.docker_engine import APIError, Engine, EngineNotFound
from services.agent.runtime.docker_environment import (
    TRUST,
    Installed,
    asked_of,
    installer_environment,
    mount_of,
    wanted_of,
)
from services.agent.runtime.docker_volumes import Helpers, SharedVolumes, volume_name
from services.agent.runtime.port import Phase, PrepareFailed
from services.agent.runtime.threads import in_own_thread
from services.agent.workload import Workload

# Binds and mounts as the engine takes them.
Mounts: TypeAlias = tuple[list[str], list[dict[str, Any]]]

_LONGEST_FILE = 1 << 20
_MOST_LINKS = 5
# In the engine's account of a file's mode.
_DIRECTORY = 1 << 31
_LOOK_EVERY = 0.2
_USAGE_EVERY = 10.0
_LINES_SHOWN = 5
_TRUSTED_BY = ("PIP_CERT", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")
_SCRIPT = r"""
umask 022
image_python=$(command -v python3 || command -v python) || \
    { echo "the image has no python3 in its PATH"; exit 1; }
"$image_python" -m venv --system-site-packages --without-pip "$PLACE" || exit 1
python="$PLACE/bin/python"
site=$("$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))') || exit 1
ln -sfn "$site" "$PLACE/site"
"$image_python" -c 'import site; print("\n".join(site.getsitepackages()))' > "$site/of_the_image.pth"
"$python" -m pip --version > /dev/null 2>&1 || "$python" -m ensurepip > /dev/null || exit 1
exec "$python" -m pip install --disable-pip-version-check --no-input --progress-bar off "$@"
"""


class Requirements:
    """Installs requirements for the instances of one node."""

    def __init__(
        self,
        engine: Engine,
        node: str,
        volumes: SharedVolumes,
        helpers: Helpers,
        agent_environment: Mapping[str, str],
        network: str = "",
    ) -> None:
        self._engine, self._node, self._volumes, self._helpers = engine, node, volumes, helpers
        self._agent, self._network = agent_environment, network

    async def ensure(self, workload: Workload, mounts: Mounts, phase: Phase) -> Installed:
        """The volume that has them, for a container with these binds and mounts. Raises PrepareFailed."""
        image = await self._engine.ask(lambda api: api.inspect_image(workload.image))
        listed = await self._listed(workload, mounts) if workload.requirements_path else b""
        name = volume_name(
            "requirements",
            self._node,
            image["Id"],
            *sorted(workload.requirements),
            workload.requirements_path,
            listed.decode(errors="replace"),
            *(f"{name}={value}" for name, value in sorted(asked_of(workload).items())),
        )
        await self._volumes.ensure(name, phase, partial(self._install, workload, mounts))
        variables = (image.get("Config") or {}).get("Env") or ()
        return Installed(name, dict(variable.split("=", 1) for variable in variables if "=" in variable))

    async def _install(self, workload: Workload, mounts: Mounts, volume: str, phase: Phase) -> None:
        wanted, helper = wanted_of(workload), f"{volume}-install"
        phase(InstanceState.PREPARING, f"installing {' '.join(wanted)}")
        trust = await in_own_thread(self._trust)
        env = installer_environment(self._agent, workload, trusting=bool(trust))
        command = ["/bin/sh", "-c", _SCRIPT, "sh", *wanted]
        place = mount_of(volume, read_only=False)
        try:
            await self._make(helper, workload.image, command, mounts, place, environment=env)
            if trust:
                await self._engine.tell(lambda api: api.put_archive(helper, "/", _tar_of({TRUST: trust})))
            await self._engine.tell(lambda api: api.start(helper))
            await self._watched(helper, phase)
        except APIError as refused:
            said = refused.explanation or refused
            raise _failed(f"the installer could not be started: {said}") from refused
        finally:
            await self._helpers.remove(helper)

    async def _make(
        self, helper: str, image: str, command: list[str], mounts: Mounts, *place: Any, **more: Any
    ) -> None:
        binds, others = mounts
        network = self._network or None
        host = {"binds": binds, "mounts": [*_for_helper(others), *place], "network_mode": network}
        await self._helpers.make(helper, image, command, host, user="0", **more)

    def _trust(self) -> bytes:
        """The certificates that the agent itself trusts, where it was told of any. Blocks."""
        named = next((self._agent[name] for name in _TRUSTED_BY if self._agent.get(name)), "")
        with suppress(OSError):
            return Path(named).read_bytes() if named else b""
        return b""

    async def _watched(self, helper: str, phase: Phase) -> None:
        """Until the installer has ended. Raises PrepareFailed with its last lines."""
        used, looked, lines = (0, 0), time.monotonic(), b""
        while True:
            state = (await self._engine.ask(lambda api: api.inspect_container(helper)))["State"]
            said = await self._engine.ask(lambda api: api.logs(helper, tail=_LINES_SHOWN * 4))
            if state["Status"] == "exited":
                break
            if said != lines:
                lines = said
                phase.moved()
            if time.monotonic() - looked > _USAGE_EVERY:
                before, used = used, await self._usage(helper)
                looked = time.monotonic()
                if used != before:
                    phase.moved()
            await asyncio.sleep(_LOOK_EVERY)
        if state["ExitCode"] != 0:
            raise _failed(_last_lines(said))

    async def _usage(self, helper: str) -> tuple[int, int]:
        """Tenths of a second of CPU and KiB received: both stand still when it only waits."""
        with suppress(Unavailable, EngineNotFound, KeyError):
            seen = await self._engine.ask(lambda api: api.stats(helper, stream=False, one_shot=True))
            received = sum(card["rx_bytes"] for card in (seen.get("networks") or {}).values())
            return seen["cpu_stats"]["cpu_usage"]["total_usage"] // 100_000_000, received >> 10
        return 0, 0

    async def _listed(self, workload: Workload, mounts: Mounts) -> bytes:
        """What is in the file of requirements, in the image or in a mount. Raises PrepareFailed."""
        helper = f"easel-look-{workload.id}"
        try:
            await self._make(helper, workload.image, ["/easel/never-run"], mounts)
            path = workload.requirements_path
            return await self._engine.ask(partial(content_of, helper, path))
        except EngineNotFound as missing:
            raise _failed(f"{workload.requirements_path} is not there") from missing
        except (Unreadable, APIError) as refused:
            said = getattr(refused, "explanation", None) or refused
            raise _failed(f"{workload.requirements_path} cannot be read: {said}") from refused
        finally:
            await self._helpers.remove(helper)


class Unreadable(EaselError):
    """What is there is no file, or too long."""


def content_of(container: str, path: str, api: Any, *, longest: int = _LONGEST_FILE) -> bytes:
    """A file of a container, running or not. Raises EngineNotFound, Unreadable."""
    place = PurePosixPath(path)
    for _ in range(_MOST_LINKS):
        pieces, about = api.get_archive(container, str(place))
        if about["mode"] & _DIRECTORY:
            raise Unreadable("not a file")
        if about["size"] > longest:
            raise Unreadable(f"more than {longest >> 20} MiB")
        with tarfile.open(fileobj=io.BytesIO(b"".join(pieces))) as tar:
            entry = tar.next()
            if entry is not None and entry.issym():
                place = place.parent / entry.linkname
                continue
            opened = tar.extractfile(entry) if entry is not None else None
            if opened is None:
                raise Unreadable("not a file")
            return opened.read()
    raise Unreadable("too many links")


def _failed(why: str) -> PrepareFailed:
    return PrepareFailed(f"the requirements could not be installed: {why}", Cause.REQUIREMENTS_FAILED)


def _last_lines(said: bytes) -> str:
    lines = [line.strip() for line in said.decode(errors="replace").splitlines() if line.strip()]
    return "; ".join(lines[-_LINES_SHOWN:])[-1000:] or "the installer said nothing"


def _for_helper(mounts: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those that files can be read from, as volumes that go with the container of the helper."""
    shared = [mount for mount in mounts if "Labels" not in mount.get("VolumeOptions", {})]
    own = [mount for mount in mounts if "DriverConfig" in mount.get("VolumeOptions", {})]
    return shared + [{key: value for key, value in mount.items() if key != "Source"} for mount in own]


def _tar_of(files: Mapping[str, bytes]) -> bytes:
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name.lstrip("/"))
            entry.size, entry.mode = len(content), 0o644
            tar.addfile(entry, io.BytesIO(content))
    return written.getvalue()
