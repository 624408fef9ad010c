"""What the scheduler wanted last, kept on disk for a restart in which it is away."""

from pathlib import Path

from google.protobuf.message import DecodeError

from easel.agent.v1 import agent_pb2 as pb
from libs.files import replace_file


class Memory:
    """One file, replaced in one step and readable by its owner alone: it holds service tokens."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / "desired.pb"
        self.desired = self._read()

    @property
    def epoch(self) -> int:
        """The newest epoch obeyed; 0 on a node that never was told anything."""
        return self.desired.epoch if self.desired is not None else 0

    def keep(self, desired: pb.DesiredState) -> None:
        """Raises OSError when the disk refuses; until the next start it is known nevertheless."""
        self.desired = desired
        self._path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(self._path, desired.SerializeToString())

    def _read(self) -> pb.DesiredState | None:
        try:
            kept = pb.DesiredState.FromString(self._path.read_bytes())
        except (OSError, DecodeError):
            return None
        # Every desired state has an epoch. An empty file would be read as the wish that nothing runs.
        return kept if kept.epoch else None
