"""What can be wrong with an instance or its service: one word a cause, and what to do about it.

Agents report the word with the sentence of the case at hand; `easel diagnose` adds the advice.
"""

from enum import StrEnum


class Cause(StrEnum):
    """Why an instance or a service does not do its work, or does it in another way than usual."""

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
    NODE_SUSPECT = "NodeSuspect"
    NODE_CORDONED = "NodeCordoned"
    NODE_DRAINING = "NodeDraining"
    DRAIN_HELD_UP = "DrainHeldUp"
    AGENT_AWAY = "AgentAway"
    EVICTION_FROZEN = "EvictionFrozen"
    # On its way
    STARTING = "Starting"
    DRAINING = "Draining"
    GATEWAY_SILENT = "GatewaySilent"
    RESTARTED = "Restarted"
    ISOLATED = "Isolated"
    DETACHED = "Detached"
    # The service
    NOTHING_READY = "NothingReady"
    TOO_FEW = "TooFew"
    NO_GATEWAY = "NoGateway"
    GATEWAY_TROUBLED = "GatewayTroubled"
    ROLLOUT_PAUSED = "RolloutPaused"
    ROLLOUT_FAILED = "RolloutFailed"
    ROLLED_BACK = "RolledBack"
    SCALED_TO_ZERO = "ScaledToZero"
    AUTOSCALER_AWAY = "AutoscalerAway"
    SERVICE_STOPPED = "ServiceStopped"
    SERVICE_IDLE = "ServiceIdle"
    SERVICE_LOCKED = "ServiceLocked"
    SERVICE_DELETING = "ServiceDeleting"


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
    Cause.STORAGE_NOT_FOUND: (
        "Check what the storage entry names: nothing is there by that path, image, branch or commit."
    ),
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
        "Let the program listen on containers[0].port (the process runtime names it in PORT); "
        "8080 and 9090 are reserved, so that a program on one of these must be told another."
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
    Cause.NODE_SUSPECT: "Look after the node and its network; it is given up on when it stays silent.",
    Cause.NODE_CORDONED: "Open it again with `easel node uncordon NODE` when that is over.",
    Cause.NODE_DRAINING: "Nothing: its instances are replaced elsewhere by themselves.",
    Cause.DRAIN_HELD_UP: "Add a node or free one, or open this one again with `easel node uncordon NODE`.",
    Cause.AGENT_AWAY: (
        "Start the agent of the node; what runs there goes on, but nothing is started or stopped meanwhile."
    ),
    Cause.EVICTION_FROZEN: (
        "Check the network between the scheduler and its nodes; no node is given up on while this lasts."
    ),
    Cause.STARTING: "Wait; see `easel logs` if it takes longer than you expect.",
    Cause.DRAINING: "Nothing: it is stopped once its requests have ended, or when its grace period is over.",
    Cause.GATEWAY_SILENT: "Look after the gateway; it is waited for, and then done without.",
    Cause.RESTARTED: "See why it ended; its output is shown by `easel logs`.",
    Cause.ISOLATED: "Put it back into traffic with `easel instance isolate --undo ID`, or delete it.",
    Cause.DETACHED: "Delete it with `easel instance delete ID` when you are done with it.",
    Cause.NOTHING_READY: "See what holds its instances up, below.",
    Cause.TOO_FEW: "See what holds the others up, below; one that is isolated counts, and takes none.",
    Cause.NO_GATEWAY: (
        "Start the gateway and check that it reaches the scheduler, mend what it says of itself, or move "
        "the service with `easel modify SERVICE -D networking.gateway=NAME --wait`; `easel gateway ls` shows "
        "them all."
    ),
    Cause.GATEWAY_TROUBLED: (
        "Mend what it says of itself with `easel gateway set`; `easel gateway desc` shows it."
    ),
    Cause.ROLLOUT_PAUSED: (
        "Mend the service.json and update again, resume with `easel rollout resume SERVICE`, "
        "or go back with `easel rollout undo SERVICE`."
    ),
    Cause.ROLLOUT_FAILED: "Mend the service.json and update again; the version before serves meanwhile.",
    Cause.ROLLED_BACK: "Mend the service.json and update again; the version before is in force meanwhile.",
    Cause.SCALED_TO_ZERO: "Scale it up with `easel scale SERVICE N`.",
    Cause.AUTOSCALER_AWAY: (
        "Start the autoscaler, and see its log; `easel scale SERVICE N` sets the size by hand meanwhile."
    ),
    Cause.SERVICE_STOPPED: "Start it with `easel start SERVICE`.",
    Cause.SERVICE_IDLE: "Start it, or keep it with `easel lock SERVICE dangerous`.",
    Cause.SERVICE_LOCKED: "Take the lock off with `easel lock SERVICE none` before changes that it refuses.",
    Cause.SERVICE_DELETING: "Nothing: it is gone once its last instance has left.",
}
