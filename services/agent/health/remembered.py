"""Which runs were ready, kept on disk: an agent that is restarted takes nobody out of traffic."""

import json
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from libs.domain.scaling import StartPhase
from libs.files import replace_file


@dataclass(frozen=True)
class Readiness:
    """Of one run, told by when it started: since when it was ready, and whether it is.

    `phases` are those of the way there, where they were measured.
    """

    started_at: datetime
    ready_at: datetime
    ready: bool
    phases: tuple[StartPhase, ...] = ()


class Remembered:
    """One small file an instance below `directory`; in memory alone without one. Blocks shortly."""

    def __init__(self, directory: Path | None = None) -> None:
        self._directory = directory
        self._known: dict[str, Readiness] = {}
        for path in directory.glob("*.json") if directory is not None else ():
            with suppress(OSError, ValueError, KeyError, TypeError):
                self._known[path.stem] = _read(path)

    def of_run(self, instance: str, started_at: datetime) -> Readiness | None:
        """None for a run that was never ready."""
        known = self._known.get(instance)
        return known if known is not None and known.started_at == started_at else None

    def ready_at(self) -> dict[str, datetime]:
        return {instance: known.ready_at for instance, known in self._known.items()}

    def keep(self, instance: str, readiness: Readiness) -> None:
        """On a full disk it is known until the agent ends."""
        if self._known.get(instance) == readiness:
            return
        self._known[instance] = readiness
        if self._directory is None:
            return
        stamps = {
            "started_at": readiness.started_at.timestamp(),
            "ready_at": readiness.ready_at.timestamp(),
            "ready": readiness.ready,
            "phases": [[each.name, each.seconds] for each in readiness.phases],
        }
        with suppress(OSError):
            self._directory.mkdir(parents=True, exist_ok=True)
            replace_file(self._directory / f"{instance}.json", json.dumps(stamps).encode())

    def forget(self, instance: str) -> None:
        self._known.pop(instance, None)
        if self._directory is not None:
            with suppress(OSError):
                (self._directory / f"{instance}.json").unlink(missing_ok=True)


def _read(path: Path) -> Readiness:
    stamps = json.loads(path.read_bytes())
    started_at = datetime.fromtimestamp(stamps["started_at"], UTC)
    ready_at = datetime.fromtimestamp(stamps["ready_at"], UTC)
    phases = tuple(StartPhase(name, seconds) for name, seconds in stamps.get("phases", ()))
    return Readiness(started_at, ready_at, bool(stamps["ready"]), phases)
