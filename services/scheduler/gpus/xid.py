"""What the error codes of NVIDIA's driver (XID) mean, and what is done about each.

After NVIDIA's catalogue of XID errors, https://docs.nvidia.com/deploy/xid-errors/. A code whose immediate
action there is a reset of the GPU or a restart of the machine fences the GPU; one that a program can
cause, or that the GPU has mended by itself, is noted.
"""

from dataclasses import dataclass
from enum import StrEnum


class Action(StrEnum):
    """What is done about a code."""

    FENCE = "fence"
    NOTE = "note"


@dataclass(frozen=True)
class Xid:
    """One code: what happened, in a sentence without its full stop, and what is done about it."""

    code: int
    meaning: str
    action: Action


_FENCE: dict[int, str] = {
    46: "the GPU stopped processing and does not come back",
    48: "a memory error that cannot be corrected (double-bit ECC)",
    54: "the auxiliary power of the board is not connected",
    62: "the micro-controller of the GPU has halted",
    64: "failing memory could not be remapped",
    74: "an NVLink connection failed",
    79: "the GPU has fallen off the bus",
    95: "a memory error that was not contained; it may have touched every program on the GPU",
    109: "the GPU does not switch between programs any more",
    110: "a security fault of the hardware",
    119: "the system processor of the GPU (GSP) does not answer",
    120: "the system processor of the GPU (GSP) failed",
    136: "an NVLink connection could not be trained",
    140: "a memory error that could not be recovered from",
    143: "the GPU could not be initialised",
    144: "an NVLink error (SAW)",
    145: "an NVLink error (RLW)",
    146: "an NVLink error (TLW)",
    147: "an NVLink error (TREX)",
    148: "an NVLink error (NVLPW)",
    149: "an NVLink error (NETIR)",
    150: "an NVLink error (MSE)",
    155: "an NVLink connection was taken down",
    156: "a failing part of the GPU waits for a reset to be retired",
    158: "the GPU did not answer in time, and nothing but a reset helps",
}
_NOTE: dict[int, str] = {
    8: "a program's work on the GPU did not end in time",
    11: "a program sent the GPU a command stream that is broken",
    13: "a program failed on the GPU, most often by reading or writing out of bounds",
    25: "a program sent the GPU a command stream that is not allowed",
    31: "a program read or wrote GPU memory that is not its own (page fault)",
    32: "a command stream reached the GPU broken, often by a bad PCIe connection",
    37: "the firmware of the driver was asked for what it does not know",
    38: "the firmware of the driver took too long",
    39: "a copy engine failed",
    40: "a copy engine failed",
    41: "a copy engine failed",
    43: "a program was ended on the GPU after a fault of its own; the GPU is well",
    44: "the graphics engine failed while it switched between programs",
    45: "a program's work was taken off the GPU, after another error or because the program was ended",
    63: "failing memory was remapped; a reset of the GPU at a quiet time makes it take effect",
    68: "a video decoder failed",
    69: "a program used an engine of the GPU in a way it does not know",
    80: "data arrived broken at the GPU",
    92: "memory errors that were corrected come often; look after the GPU",
    93: "the GPU's information memory has reached its limit of writes",
    94: "a memory error that was contained to one program, which must be restarted",
    121: "the link between GPU and CPU corrected errors",
    137: "a program used NVLink in a way that is not allowed",
    141: "a CUDA fast path failed",
    154: "the driver names a new way to recover the GPU; see its log",
    157: "a failing part of the GPU could not be retired; the error may come again",
}

CODES: dict[int, Xid] = {
    **{code: Xid(code, meaning, Action.FENCE) for code, meaning in _FENCE.items()},
    **{code: Xid(code, meaning, Action.NOTE) for code, meaning in _NOTE.items()},
}


def xid(code: int) -> Xid:
    """What is known of a code. One that is not in the table is noted: nothing says that the GPU is broken."""
    return CODES.get(code) or Xid(code, "an error that Easel's table does not have", Action.NOTE)
