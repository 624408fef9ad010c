"""What a scheduled size does: without an autoscaler it is the size; with one it moves the bounds.

| target T, size C | what happens |
|---|---|
| T > max | max becomes T |
| T < min | min becomes T |
| C < T | min becomes T, and the size too, at once |
| C ≥ T | the size stays; the autoscaler may go down to T |

The bounds stay as they were moved, until the next job moves them again.
"""

from collections.abc import Sequence

from services.autoscaler.cron import Due
from services.autoscaler.policies.model import TIMED, Bounds, Decision, JobRun, Policy
from services.autoscaler.policies.sentences import change


def carry_out(due: Sequence[Due], policy: Policy | None, current: int, stopped: bool) -> Decision:
    """The scheduled jobs that are due, in order. `due` is not empty."""
    bounds = Bounds(policy.min, policy.max) if policy else None
    wanted, said, runs = current, "", []
    for job in due:
        if job.state:
            runs.append(JobRun(job.name, job.at, job.state, job.why))
        elif stopped:
            runs.append(JobRun(job.name, job.at, "Failed", f"{job.why}; the service is stopped"))
        else:
            before, wanted, bounds = wanted, *_sized(job.target, wanted, bounds)
            moved = "" if bounds is None else f", at least {bounds.min} and at most {bounds.max} from now on"
            said = f"{job.why}: target {job.target}{moved}"
            runs.append(JobRun(job.name, job.at, "Succeed", f"{said}; {change(before, wanted)}"))
    moved_bounds = bounds if policy and bounds != Bounds(policy.min, policy.max) else None
    why = f"{change(current, wanted)}: {said or runs[-1].message}"
    return Decision(wanted, why, TIMED, bounds=moved_bounds, jobs=tuple(runs))


def _sized(target: int, current: int, bounds: Bounds | None) -> tuple[int, Bounds | None]:
    """The size and the bounds after a job, by the table above."""
    if bounds is None:
        return target, None
    least, most = bounds.min, max(bounds.max, target)
    if current < target:
        return target, Bounds(target, most)
    return current, Bounds(min(least, target), most)
