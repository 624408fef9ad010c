"""The states of services, instances and nodes, and which moves between them are legal."""

from enum import StrEnum


class ServiceState(StrEnum):
    """What a service is doing, in the words EAS uses."""

    CREATING = "Creating"
    WAITING = "Waiting"
    RUNNING = "Running"
    UPDATING = "Updating"
    SCALING = "Scaling"
    STOPPING = "Stopping"
    STOPPED = "Stopped"
    FAILED = "Failed"
    DELETING = "Deleting"


class InstanceState(StrEnum):
    """What one instance is doing."""

    PENDING = "Pending"
    SCHEDULED = "Scheduled"
    PULLING = "Pulling"
    PREPARING = "Preparing"
    STARTING = "Starting"
    RUNNING = "Running"
    CRASH_LOOP_BACK_OFF = "CrashLoopBackOff"
    IMAGE_PULL_BACK_OFF = "ImagePullBackOff"
    FAILED = "Failed"
    TERMINATING = "Terminating"
    LOST = "Lost"
    WARMING_UP = "WarmingUp"


class NodeState(StrEnum):
    """How sure the scheduler is that a node is there."""

    READY = "Ready"
    SUSPECT = "Suspect"
    LOST = "Lost"


class Runtime(StrEnum):
    """What runs instances on a node."""

    PROCESS = "process"
    DOCKER = "docker"


class SafetyLock(StrEnum):
    """What a service refuses: nothing, what takes it away (stop, delete), or every change."""

    NONE = "none"
    DANGEROUS = "dangerous"
    ALL = "all"


class RolloutPhase(StrEnum):
    """How far the way from one version to another is."""

    PENDING = "Pending"
    RUNNING = "Running"
    PAUSED = "Paused"
    COMPLETED = "Completed"
    FAILED = "Failed"


class TrafficState(StrEnum):
    """Whether a member of a group takes requests of the group, or only its own."""

    STANDALONE = "standalone"
    GROUPING = "grouping"


class TrafficMode(StrEnum):
    """How a group's requests are shared out: by ready instances, or by the members' weights."""

    AUTO = "auto"
    CUSTOMIZED = "customized"


class RampPhase(StrEnum):
    """How far a member is on its way to all of its group's requests."""

    RUNNING = "Running"
    COMPLETED = "Completed"
    WENT_BACK = "WentBack"
    ENDED = "Ended"


class EventKind(StrEnum):
    NORMAL = "Normal"
    WARNING = "Warning"


class TokenRole(StrEnum):
    """What a token opens: the admin API, or the agent link and the routes feed."""

    ADMIN = "admin"
    JOIN = "join"


# States in which an agent still works toward a ready instance, or has one.
LIVE_STATES = frozenset(InstanceState) - {InstanceState.TERMINATING, InstanceState.LOST}
TROUBLED_STATES = frozenset(
    {InstanceState.CRASH_LOOP_BACK_OFF, InstanceState.IMAGE_PULL_BACK_OFF, InstanceState.FAILED}
)
