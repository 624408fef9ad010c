"""What policies are given, and what they answer. Plain values; all times are seconds since 1970."""

from dataclasses import dataclass

# Between two looks further apart than this nothing is known, so that all windows begin anew.
LOOK_GAP_S = 10.0

HORIZONTAL, BURST, ZERO, TIMED = "horizontal", "burst", "zero", "timed"


@dataclass(frozen=True, slots=True)
class Target:
    """A metric and the value that each instance should show; `service` names whose, empty for its own."""

    metric: str
    threshold: float
    service: str = ""


@dataclass(frozen=True, slots=True)
class Burst:
    """When load that comes suddenly is answered at once, from a short window."""

    enabled: bool = True
    window_s: int = 3
    threshold_percent: int = 200


@dataclass(frozen=True, slots=True)
class Policy:
    """When a service changes its size by itself."""

    min: int = 1
    max: int = 10
    targets: tuple[Target, ...] = ()
    measure_s: int = 30
    up_s: int = 0
    down_s: int = 300
    burst: Burst = Burst()
    grace_s: int = 600
    activation: int = 1

    def bounded(self, wanted: int) -> int:
        """The number nearest to `wanted` that the bounds allow."""
        return max(self.min, min(self.max, wanted))


@dataclass(frozen=True, slots=True)
class Reading:
    """What one target's metric shows: a total, or the mean of the instances. None where it is missing."""

    over_window: float | None = None
    over_burst: float | None = None


@dataclass(frozen=True, slots=True)
class Observed:
    """A service as it is now. `readings` are in the order of the policy's targets."""

    readings: tuple[Reading, ...] = ()
    ready: int = 0
    # Requests a second, and requests in work, over the last seconds; None while nobody knows.
    qps: float | None = None
    in_flight: float | None = None
    # Requests that gateways hold.
    waiting: int = 0
    updating: bool = False
    stopped: bool = False


@dataclass(frozen=True, slots=True)
class Measured:
    """A metric as it was judged; `value` is that of each instance, None where it is missing."""

    metric: str
    value: float | None
    threshold: float


@dataclass(frozen=True, slots=True)
class Bounds:
    """The bounds of a policy, as a schedule moves them."""

    min: int
    max: int


@dataclass(frozen=True, slots=True)
class JobRun:
    """What became of a scheduled job that was due: Succeed, Failed, Skipped or Missed."""

    name: str
    due_at: float
    state: str
    message: str


@dataclass(frozen=True, slots=True)
class Decision:
    """How many instances there are to be, and why, in one sentence."""

    wanted: int
    why: str
    policy: str = HORIZONTAL
    # The metric that decided, where one did.
    metric: Measured | None = None
    # Instances that are to leave first, the emptiest in front; filled in when it is carried out.
    leave_first: tuple[str, ...] = ()
    bounds: Bounds | None = None
    jobs: tuple[JobRun, ...] = ()
    # Every metric of the policy, as it was judged.
    measured: tuple[Measured, ...] = ()

    def changes(self, current: int) -> bool:
        """Whether there is anything to carry out."""
        return self.wanted != current or self.bounds is not None or bool(self.jobs)


Marks = tuple[tuple[float, int], ...]


@dataclass(frozen=True, slots=True)
class State:
    """What a service's decisions remember of the looks before, in memory only: a start begins anew."""

    # Since when it has been looked at without a gap, and the newest look.
    since: float = 0.0
    seen: float = float("-inf")
    current: int = 0
    # What the windows depend on; another policy begins anew.
    policy: Policy | None = None
    # How many were ready, from when on.
    ready: Marks = ()
    # Recommendations that may be the largest, or the smallest, of what is left of their window.
    largest: Marks = ()
    smallest: Marks = ()
    burst_at: float = float("-inf")
    # When there were fewer instances than before.
    fewer_at: float = float("-inf")
    # Since when nothing but the count of requests spoke against sleep, and since when nothing at all.
    calm_since: float | None = None
    quiet_since: float | None = None
