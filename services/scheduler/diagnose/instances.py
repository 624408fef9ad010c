"""What is wrong with one instance. Pure."""

from collections.abc import Iterator

from libs.domain.causes import Cause
from libs.domain.records import Instance
from libs.domain.states import TROUBLED_STATES, InstanceState
from services.scheduler.diagnose.finding import Finding, Severity, finding
from services.scheduler.diagnose.picture import Picture
from services.scheduler.gpus.fences import active_fence
from services.scheduler.live import duration, in_words
from services.scheduler.placement.words import counted

# What it is when its agent gave no word of its own.
_OF_STATE = {
    InstanceState.CRASH_LOOP_BACK_OFF: Cause.EXITED,
    InstanceState.IMAGE_PULL_BACK_OFF: Cause.PULL_FAILED,
    InstanceState.FAILED: Cause.START_FAILED,
}
# Causes that most programs show for a while when they start.
_MAY_PASS = frozenset({Cause.NOT_LISTENING})


def of_instance(picture: Picture, instance: Instance) -> Iterator[Finding]:
    """Everything worth knowing of it; nothing while it does its work and nobody has set it aside."""
    match instance.state:
        case InstanceState.LOST:
            what = f"{instance.id} was on a node that is lost: {instance.why}"
            yield finding(Severity.ERROR, Cause.NODE_LOST, instance.id, what)
        case InstanceState.TERMINATING:
            yield _leaving(picture, instance)
        case InstanceState.PENDING:
            cause = instance.cause or Cause.NO_ROOM
            what = f"{instance.id} waits for a place: {instance.why or 'nobody has looked for one yet'}"
            severity = Severity.ERROR if instance.why else Severity.NOTE
            yield finding(severity, cause, instance.id, what)
        case _:
            yield from _placed(picture, instance)


def _placed(picture: Picture, instance: Instance) -> Iterator[Finding]:
    troubled = instance.state in TROUBLED_STATES
    if instance.cause or troubled:
        yield _trouble(instance, troubled)
    elif instance.restart_asked_at is not None:
        yield _restarting(picture, instance)
    elif not instance.ready:
        yield _starting(picture, instance)
    elif instance.restarts:
        yield _restarted(instance)
    yield from _gpus(picture, instance)
    yield from _aside(instance)


def _trouble(instance: Instance, troubled: bool) -> Finding:
    cause = instance.cause or _OF_STATE[instance.state]
    passing = cause in _MAY_PASS and not troubled
    severity = Severity.WARNING if instance.ready or passing else Severity.ERROR
    why = instance.why or instance.last_exit or "it does not say why"
    times = f"; restarted {counted(instance.restarts, 'time')}" if instance.restarts else ""
    ended = instance.last_exit
    also = f" (last run: {ended})" if ended and ended not in why else ""
    said, _, lines = f"{why}".partition("\n")
    what = f"{instance.id} is {instance.state.value}: {said}{also}{times}"
    return finding(severity, cause, instance.id, f"{what}\n{lines}")


def _restarted(instance: Instance) -> Finding:
    what = f"{instance.id} is ready, and was restarted {counted(instance.restarts, 'time')}"
    also = f"; the run before ended: {instance.last_exit}" if instance.last_exit else ""
    return finding(Severity.NOTE, Cause.RESTARTED, instance.id, f"{what}{also}")


def _starting(picture: Picture, instance: Instance) -> Finding:
    progress = picture.live(instance.id).progress
    parts = [instance.why, in_words(progress) if progress else ""]
    said = "; ".join(part for part in parts if part)
    since = f", for {duration(picture.now - instance.created_at)} since it was made"
    what = f"{instance.id} is not ready yet: {instance.state.value}{since}" + (f": {said}" if said else "")
    return finding(Severity.NOTE, Cause.STARTING, instance.id, what)


def _restarting(picture: Picture, instance: Instance) -> Finding:
    lagging = picture.lagging(instance.id)
    if lagging:
        return _silent(picture, instance, lagging)
    what = f"{instance.id} is out of traffic, to be started anew{_open(picture, instance)}"
    return finding(Severity.NOTE, Cause.DRAINING, instance.id, what)


def _leaving(picture: Picture, instance: Instance) -> Finding:
    why = f" ({instance.why})" if instance.why else ""
    lagging = () if instance.stopping or instance.ready_at is None else picture.lagging(instance.id)
    if lagging:
        return _silent(picture, instance, lagging)
    doing = "is being stopped" if instance.stopping else "leaves traffic"
    what = f"{instance.id} {doing}{why}{_since(picture, instance)}{_open(picture, instance)}"
    return finding(Severity.NOTE, Cause.DRAINING, instance.id, what)


def _silent(picture: Picture, instance: Instance, lagging: tuple[str, ...]) -> Finding:
    names = ", ".join(lagging)
    what = f"{instance.id} waits for {names} to route around it{_since(picture, instance)}"
    return finding(Severity.WARNING, Cause.GATEWAY_SILENT, instance.id, what)


def _since(picture: Picture, instance: Instance) -> str:
    began = instance.drain_started_at or instance.restart_asked_at
    return f", for {duration(picture.now - began)} so far" if began else ""


def _open(picture: Picture, instance: Instance) -> str:
    count = picture.live(instance.id).connections
    return f"; {counted(count, 'connection')} open still" if count else ""


def _gpus(picture: Picture, instance: Instance) -> Iterator[Finding]:
    severity = Severity.WARNING if instance.ready else Severity.ERROR
    for uuid in instance.gpu_uuids:
        if fence := active_fence(picture.world.gpu_fences, instance.node, uuid):
            what = f"{instance.id} uses GPU {uuid} of node {instance.node}, which is fenced: {fence.why}"
            yield finding(severity, Cause.GPU_FENCED, instance.id, what)


def _aside(instance: Instance) -> Iterator[Finding]:
    if instance.detached:
        what = f"{instance.id} is detached: out of traffic for ever, and another has taken its place"
        yield finding(Severity.NOTE, Cause.DETACHED, instance.id, what)
    elif instance.isolated:
        what = f"{instance.id} is isolated: out of traffic, kept as it is"
        yield finding(Severity.NOTE, Cause.ISOLATED, instance.id, what)
