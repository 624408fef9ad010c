"""What an agent says went wrong with the GPUs of its node. A level: everything since the agent started."""

from collections.abc import Iterable

from easel.agent.v1 import agent_pb2
from libs.domain.gpu_troubles import GpuTrouble, TroubleKind
from libs.rpc.convert import time_from_proto
from services.scheduler.gpus.xid import Action, xid


class Trouble(GpuTrouble):
    """One of them with what it means."""

    @property
    def cause(self) -> str:
        """The word for programs, such as "Xid79"."""
        return f"{self.kind.value}{self.xid}" if self.kind is TroubleKind.XID else self.kind.value

    @property
    def fences(self) -> bool:
        """Whether the GPU must not be used; any other trouble is only noted."""
        return self.kind is not TroubleKind.XID or xid(self.xid).action is Action.FENCE

    @property
    def what(self) -> str:
        """What happened, in words that do not change while it is the same trouble."""
        match self.kind:
            case TroubleKind.XID:
                return f"XID {self.xid}: {xid(self.xid).meaning}"
            case TroubleKind.UNCORRECTABLE_ECC:
                return "memory errors that cannot be corrected (ECC)"
            case TroubleKind.LOST:
                return "the driver cannot reach it"


_KINDS: dict[int, TroubleKind] = {
    getattr(agent_pb2.GpuTrouble, f"KIND_{kind.name}"): kind for kind in TroubleKind
}


def troubles_of(told: Iterable[agent_pb2.GpuTrouble]) -> tuple[Trouble, ...]:
    """Kinds that this scheduler does not know are left out."""
    return tuple(
        Trouble(each.uuid, _KINDS[each.kind], each.xid, each.count, time_from_proto(each, "at"))
        for each in told
        if each.kind in _KINDS
    )
