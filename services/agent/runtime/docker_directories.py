"""Directories of images, copied once into volumes that instances share."""

import secrets
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from libs.domain.causes import Cause
from libs.domain.states import InstanceState
from services.agent.runtime.docker_engine import APIError, Engine, EngineNotFound
from services.agent.runtime.docker_volumes import Helpers, SharedVolumes, volume_name
from services.agent.runtime.port import Phase, PrepareFailed
from services.agent.runtime.threads import in_own_thread
from services.agent.storage.sources import ImageSource

_PLACE = "/easel/directory"
_PIECE = 1 << 20


class ImageDirectories:
    """Fills the volumes. The images are on the node already; nothing of them is run."""

    def __init__(self, engine: Engine, node: str, volumes: SharedVolumes, helpers: Helpers) -> None:
        self._engine, self._node, self._volumes, self._helpers = engine, node, volumes, helpers

    async def ensure(self, source: ImageSource, path: str, phase: Phase) -> str:
        """The volume with that directory, for a mount at `path`. Raises PrepareFailed."""
        found = await self._engine.ask(lambda api: api.inspect_image(source.image))
        name = volume_name("image", self._node, found["Id"], source.path)
        await self._volumes.ensure(name, phase, partial(self._fill, source, path))
        return name

    async def _fill(self, source: ImageSource, path: str, volume: str, phase: Phase) -> None:
        mount = {
            "Type": "volume",
            "Source": volume,
            "Target": _PLACE,
            "VolumeOptions": {"NoCopy": True},
        }
        phase(InstanceState.PREPARING, f"copying {source.name}")
        number = secrets.token_hex(6)
        origin, target = f"easel-copy-{number}-from", f"easel-copy-{number}-to"
        never_run = ["/easel/never-run"]
        try:
            await self._helpers.make(origin, source.image, never_run)
            await self._helpers.make(target, source.image, never_run, {"mounts": [mount]})
            told = partial(phase.progress, source.name)
            await in_own_thread(partial(self._copy, origin, target, source.path, told))
        except EngineNotFound as missing:
            raise PrepareFailed(
                f"{path}: there is no directory {source.path} in image {source.image}",
                Cause.STORAGE_NOT_FOUND,
            ) from missing
        except APIError as refused:
            said = str(refused.explanation or refused)
            cause = Cause.NO_SPACE if "no space left" in said else Cause.STORAGE_NOT_FOUND
            raise PrepareFailed(f"{path}: {source.name} could not be copied: {said}", cause) from refused
        finally:
            await self._helpers.remove(origin)
            await self._helpers.remove(target)

    def _copy(self, origin: str, target: str, directory: str, told: Callable[[int], None]) -> None:
        """Blocks. Raises APIError, EngineNotFound, Unavailable."""

        def pass_on(api: Any) -> None:
            pieces, _ = api.get_archive(origin, f"{directory.rstrip('/')}/.", chunk_size=_PIECE)
            api.put_archive(target, _PLACE, _counted(pieces, told))

        self._engine.dial(pass_on)


def _counted(pieces: Iterator[bytes], told: Callable[[int], None]) -> Iterator[bytes]:
    done = 0
    for piece in pieces:
        done += len(piece)
        told(done)
        yield piece
