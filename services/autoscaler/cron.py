"""Which scheduled jobs are due: what is carried out, what is skipped, what was missed while nobody looked."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

from libs.spec.cron import Schedule, instant

# Later than this, a job was missed, and is carried out only if it is the newest of all that were.
ON_TIME = timedelta(seconds=60)
# As late as that, somebody was looking all the time.
_PROMPT = timedelta(seconds=5)
# How many times of one job are looked at in one stretch, to find the newest of them.
_MOST_LOOKED_AT = 8
_SECOND = timedelta(seconds=1)


@dataclass(frozen=True)
class Job:
    """A size at certain times. `last`: the newest time it was due and something became of it."""

    name: str
    schedule: Schedule
    target: int
    zone: ZoneInfo
    once: bool = False
    last: datetime | None = None


@dataclass(frozen=True)
class Timetable:
    """The jobs of a service, and the days on which they rest. What was due before `since` is not made up for.

    `due_from` is when something is due next, in seconds since 1970.
    """

    jobs: tuple[Job, ...]
    excluded: tuple[Schedule, ...]
    since: datetime
    due_from: float = float("-inf")

    def with_runs(self, runs: Mapping[str, float]) -> "Timetable":
        """The same after runs of jobs by name, at the times that they were due."""
        jobs = (
            replace(job, last=datetime.fromtimestamp(runs[job.name], UTC)) if job.name in runs else job
            for job in self.jobs
        )
        return replace(self, jobs=tuple(jobs)).waiting()

    def anchor(self, job: Job) -> datetime:
        """The time after which the job is due next."""
        return self.since if job.last is None else max(job.last, self.since)

    def waiting(self) -> "Timetable":
        """The same, with `due_from` worked out: excluded days count, and a job that is over is never due."""
        open_jobs = (job for job in self.jobs if not _is_over(job))
        times = (_first(job, self.anchor(job)) for job in open_jobs)
        first = min((each.timestamp() for each in times if each is not None), default=float("inf"))
        return replace(self, due_from=first)


@dataclass(frozen=True)
class Due:
    """A job that was due. `state` is "" where it is to be carried out, else Skipped or Missed."""

    name: str
    target: int
    at: float
    state: str
    why: str


def due(timetable: Timetable, now: datetime) -> list[Due]:
    """What is due up to now, one a job, in the order of time.

    A job is skipped on a day on which an excluded expression fires. Of jobs that were missed, only the newest
    is carried out, unless one is due just now.
    """
    found = [each for job in timetable.jobs if (each := _newest(timetable, job, now))]
    found.sort(key=lambda each: each[1])
    live = [at for _, at, excluded in found if not excluded]
    newest = max(live, default=now)
    return [_judged(job, at, excluded, newest, now) for job, at, excluded in found]


def _judged(job: Job, at: datetime, excluded: str, newest: datetime, now: datetime) -> Due:
    when = at.astimezone(job.zone).strftime("%Y-%m-%d %H:%M:%S") + f" {job.zone.key}"
    if excluded:
        state, why = "Skipped", f"{job.name} was due at {when}, a day that {excluded!r} excludes"
    elif now - at <= _PROMPT:
        state, why = "", f"{job.name} is due at {when}"
    elif now - at <= ON_TIME or at == newest:
        state, why = "", f"{job.name} was due at {when}, carried out now"
    else:
        state, why = "Missed", f"{job.name} was due at {when}, and a later job has taken its place"
    return Due(job.name, job.target, at.timestamp(), state, why)


def _newest(timetable: Timetable, job: Job, now: datetime) -> tuple[Job, datetime, str] | None:
    """The newest time that is due and not excluded, else the newest that is, with what excludes it."""
    if _is_over(job):
        return None
    anchor = timetable.anchor(job)
    first = _first(job, anchor)
    if first is None or first > now:
        return None
    skipped: tuple[Job, datetime, str] | None = None
    for at in _backwards(job, anchor, now):
        excluded = _excluded(timetable.excluded, job, at)
        if not excluded:
            return job, at, ""
        skipped = skipped or (job, at, excluded)
    return skipped


def _is_over(job: Job) -> bool:
    """Also where other jobs were set after it ran: one that is set anew itself has not run."""
    return job.once and job.last is not None


def _backwards(job: Job, anchor: datetime, now: datetime) -> Iterator[datetime]:
    """The newest time of each day in (anchor, now], the newest day first: days are excluded as a whole."""
    end, span = now, _SECOND
    while end > anchor:
        begin = max(anchor, end - span)
        times = list(islice(_times(job, begin, end), _MOST_LOOKED_AT))
        if len(times) == _MOST_LOOKED_AT:  # there may be newer ones
            span /= 2
        elif times:
            yield times[-1]
            midnight = datetime.combine(times[-1].astimezone(job.zone).date(), time())
            end, span = min(instant(midnight, job.zone), times[-1]) - _SECOND, _SECOND
        else:
            end, span = begin, span * 2


def _times(job: Job, begin: datetime, end: datetime) -> Iterator[datetime]:
    at = _first(job, begin)
    while at is not None and at <= end:
        yield at
        at = _first(job, at)


def _first(job: Job, after: datetime) -> datetime | None:
    return job.schedule.next_after(after, job.zone)


def _excluded(excluded: Sequence[Schedule], job: Job, at: datetime) -> str:
    day = at.astimezone(job.zone).date()
    return next((each.expression for each in excluded if each.fires_on(day, job.zone)), "")
