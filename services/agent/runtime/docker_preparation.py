"""What a container needs before it starts: its image, what is mounted, and its Python requirements."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from libs.domain.causes import Cause
from libs.domain.states import InstanceState
from services.agent.mounts import MountKind, refuse_escape
from services.agent.runtime.docker_directories import ImageDirectories
from services.agent.runtime.docker_engine import Engine
from services.agent.runtime.docker_environment import Installed
from services.agent.runtime.docker_pull import ALWAYS, IF_NOT_PRESENT, ImagePulls, Login
from services.agent.runtime.docker_requirements import Requirements
from services.agent.runtime.docker_spec import mounts_of
from services.agent.runtime.docker_volumes import Helpers, SharedVolumes
from services.agent.runtime.port import Phase, PrepareFailed
from services.agent.runtime.threads import prepared_mount
from services.agent.storage.sources import ImageSource, NfsSource
from services.agent.workload import Workload

_ANSWERS_WITHIN = 10.0
_NFS_PORT = 2049


@dataclass(frozen=True)
class Prepared:
    """What was made for one instance. `directories` are volumes with directories of images, by mount path."""

    directories: Mapping[str, str] = field(default_factory=dict)
    installed: Installed | None = None


class Preparation:
    """Everything that is done for an instance before its container is made. Each step may be repeated."""

    def __init__(
        self, engine: Engine, node: str, agent_environment: Mapping[str, str], network: str = ""
    ) -> None:
        self.pulls = ImagePulls(engine)
        self._volumes, self._helpers = SharedVolumes(engine, node), Helpers(engine, node)
        self._node = node
        self._directories = ImageDirectories(engine, node, self._volumes, self._helpers)
        self._requirements = Requirements(
            engine, node, self._volumes, self._helpers, agent_environment, network
        )

    async def prepare(self, workload: Workload, phase: Phase) -> Prepared:
        """Raises PullFailed, PrepareFailed, Unavailable."""
        directories: dict[str, str] = {}
        for mount in workload.mounts:
            if mount.kind is MountKind.BIND:
                await prepared_mount(refuse_escape, mount)
            elif isinstance(mount.origin, NfsSource):
                await answering(mount.path, mount.origin)
        await self._image(workload.image, workload.registry_login, phase, workload.image_pull_policy)
        for mount in workload.mounts:
            if mount.kind is MountKind.IMAGE and isinstance(mount.origin, ImageSource):
                await self._image(mount.origin.image, mount.origin.login, phase)
                directories[mount.path] = await self._directories.ensure(mount.origin, mount.path, phase)
        if not workload.prepares:
            return Prepared(directories)
        mounts = mounts_of(workload, self._node, directories)
        return Prepared(directories, await self._requirements.ensure(workload, mounts, phase))

    async def tidy(self) -> None:
        """Removes what was left half-done, and what no instance used for long. Raises Unavailable."""
        await self._helpers.tidy()
        await self._volumes.tidy()

    async def remove_unused(self) -> None:
        """Removes what no instance uses now. Raises Unavailable."""
        await self._helpers.tidy()
        await self._volumes.remove_unused()

    async def _image(self, image: str, login: Login, phase: Phase, policy: str = IF_NOT_PRESENT) -> None:
        if policy == ALWAYS or not await self.pulls.present(image):
            phase(InstanceState.PULLING, f"pulling {image}")
            await self.pulls.ensure(image, login, phase.progress, policy)


async def answering(path: str, source: NfsSource) -> None:
    """Asks the server for a connection: the engine would say less, and later. Raises PrepareFailed."""
    options = dict(option.partition("=")[::2] for option in source.options.split(","))
    if "udp" in (options.get("proto"), *options):
        return
    port = options.get("port", "")
    opening = asyncio.open_connection(source.server, int(port) if port.isdigit() else _NFS_PORT)
    try:
        _, writer = await asyncio.wait_for(opening, _ANSWERS_WITHIN)
    except (OSError, TimeoutError) as away:
        why = str(away) or f"no answer within {_ANSWERS_WITHIN:g} s"
        raise PrepareFailed(
            f"{path}: the NFS server of {source.name} does not answer: {why}", Cause.STORAGE_UNREACHABLE
        ) from away
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
