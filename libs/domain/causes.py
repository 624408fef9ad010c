"""What can be wrong with an instance: one word a cause, and what its owner can do about it.

Agents report the word with the sentence of the case at hand; `easel diagnose` adds the advice.
"""

from enum import StrEnum


class Cause(StrEnum):
    """Why an instance does not do its work."""

    # The image
    IMAGE_NOT_FOUND = "ImageNotFound"
    IMAGE_ACCESS_DENIED = "ImageAccessDenied"
    REGISTRY_UNREACHABLE = "RegistryUnreachable"
    PULL_FAILED = "PullFailed"
    PULL_STALLED = "PullStalled"
    # What is prepared before the start
    REQUIREMENTS_FAILED = "RequirementsFailed"
    STORAGE_UNREACHABLE = "StorageUnreachable"
    STORAGE_NOT_FOUND = "StorageNotFound"
    STORAGE_ACCESS_DENIED = "StorageAccessDenied"
    SECRET_MISSING = "SecretMissing"  # noqa: S105
    NO_SPACE = "NoSpace"
    PREPARE_FAILED = "PrepareFailed"
    PREPARE_STALLED = "PrepareStalled"
    # The program
    COMMAND_NOT_FOUND = "CommandNotFound"
    START_FAILED = "StartFailed"
    START_STALLED = "StartStalled"
    EXITED = "Exited"
    KILLED_BY_SIGNAL = "KilledBySignal"
    OUT_OF_MEMORY = "OutOfMemory"
    PORT_TAKEN = "PortTaken"
    WRONG_PORT = "WrongPort"
    LOOPBACK_ONLY = "LoopbackOnly"
    NOT_LISTENING = "NotListening"
    # Its checks
    STARTUP_PROBE_FAILED = "StartupProbeFailed"
    LIVENESS_PROBE_FAILED = "LivenessProbeFailed"
    READINESS_PROBE_FAILED = "ReadinessProbeFailed"
    WARM_UP_FAILED = "WarmUpFailed"
    # Where it runs
    NOT_ON_THIS_NODE = "NotOnThisNode"
    NO_ROOM = "NoRoom"
    NODE_LOST = "NodeLost"
    GPU_FENCED = "GpuFenced"


ADVICE: dict[Cause, str] = {
    Cause.IMAGE_NOT_FOUND: (
        "Check the name and the tag under containers[0].image, and that the image was pushed."
    ),
    Cause.IMAGE_ACCESS_DENIED: (
        "Set dockerAuth to base64 of user:password of an account that may pull the image."
    ),
    Cause.REGISTRY_UNREACHABLE: "Check from the node that the registry's address resolves and answers.",
    Cause.PULL_FAILED: "Try `docker pull` of the image on the node; its answer is the one shown here.",
    Cause.PULL_STALLED: (
        "Nothing came from the registry for a long time: check the node's network and the registry."
    ),
    Cause.REQUIREMENTS_FAILED: (
        "Mend containers[0].prepare; the installer's last lines say which requirement fails."
    ),
    Cause.STORAGE_UNREACHABLE: "Check the address of the storage, and that it answers from the node.",
    Cause.STORAGE_NOT_FOUND: "Check the path under storage; nothing is there by that name.",
    Cause.STORAGE_ACCESS_DENIED: (
        "Check the secret that the storage entry uses, and what its account may read."
    ),
    Cause.SECRET_MISSING: "Make it with `easel secret set NAME KEY=VALUE`, or correct the reference.",
    Cause.NO_SPACE: "Free disk on the node, or ask for less: the model cache and images fill it first.",
    Cause.PREPARE_FAILED: (
        "The sentence says what the node refused; mend that, and the agent tries again by itself."
    ),
    Cause.PREPARE_STALLED: (
        "The preparation made no progress for a long time: check the network of the node."
    ),
    Cause.COMMAND_NOT_FOUND: "Check script or command: the program is not in the image, or not executable.",
    Cause.START_FAILED: "The runtime refused to start it; the sentence has its words.",
    Cause.START_STALLED: (
        "The program runs without using CPU, reading or writing; see its log with `easel logs`."
    ),
    Cause.EXITED: "See its last lines with `easel logs`; a server must not end by itself.",
    Cause.KILLED_BY_SIGNAL: (
        "See its last lines with `easel logs`; SIGSEGV and SIGABRT are faults of the program."
    ),
    Cause.OUT_OF_MEMORY: "Raise metadata.memory, or let the program use less.",
    Cause.PORT_TAKEN: "Another program of the node has the port; the instance is placed anew by itself.",
    Cause.WRONG_PORT: (
        "Let the program listen on containers[0].port (the process runtime names it in PORT)."
    ),
    Cause.LOOPBACK_ONLY: (
        "Let the program bind 0.0.0.0 instead of 127.0.0.1, which nobody outside it can reach."
    ),
    Cause.NOT_LISTENING: "See `easel logs`: the program is loading, or waits for something.",
    Cause.STARTUP_PROBE_FAILED: (
        "Check the probe's path and port, or give it more time: failure_threshold x period."
    ),
    Cause.LIVENESS_PROBE_FAILED: (
        "The program stopped answering the probe; see its log from before the restart."
    ),
    Cause.READINESS_PROBE_FAILED: (
        "It takes no traffic until the probe passes; see the answer in the sentence."
    ),
    Cause.WARM_UP_FAILED: "Check the requests in warm_up_data_path; the sentence has the program's answer.",
    Cause.NOT_ON_THIS_NODE: "The node cannot run this service as it is written; the sentence says why.",
    Cause.NO_ROOM: "Add a node, free one, or ask for less under metadata.",
    Cause.NODE_LOST: "Look after the node; the instance is replaced elsewhere by itself.",
    Cause.GPU_FENCED: "Look after the GPU, then lift the fence with `easel gpu lift NODE UUID`.",
}
