"""What is wrong with a service as a whole. Pure."""

from collections.abc import Iterator

from libs.domain.causes import Cause
from libs.domain.records import Instance, Service
from libs.domain.states import LIVE_STATES, RolloutPhase, SafetyLock
from services.scheduler.diagnose.finding import Finding, Severity, finding
from services.scheduler.diagnose.picture import Picture
from services.scheduler.live import duration
from services.scheduler.retention import WARNINGS, delete_at
from services.scheduler.rollout.staging import standing
from services.scheduler.scaling.policies import may_sleep
from services.scheduler.secrets.wants import wants_of


def of_service(picture: Picture, service: Service) -> Iterator[Finding]:
    """What its instances do not say themselves."""
    yield from _asked_for(picture, service)
    if service.deleting or service.stopped:
        return
    yield from _secrets(picture, service)
    yield from _update(picture, service)
    instances = [i for i in picture.world.instances_of(service.name) if i.state in LIVE_STATES]
    sleeps = may_sleep(picture.world, service.name)
    yield from _size(service, instances, sleeps)
    yield from _autoscaler(picture, service, sleeps)
    if service.wanted or sleeps:
        yield from _gateway(picture, service)


def _gateway(picture: Picture, service: Service) -> Iterator[Finding]:
    name, stands = service.gateway, picture.gateway(service.gateway)
    if not stands.connected:
        what = (
            f"gateway {name!r} is not connected: what is routed stays as it was, and nothing new is reached; "
            f"{stands.why}"
        )
        yield finding(Severity.ERROR, Cause.NO_GATEWAY, service.name, what)
    elif not stands.serves:
        what = f"gateway {name!r} has no Envoy, so that nobody reaches {service.name} there: {stands.why}"
        yield finding(Severity.ERROR, Cause.NO_GATEWAY, service.name, what)
    elif stands.why:
        what = f"gateway {name!r} does not do all that is set for it: {stands.why}"
        yield finding(Severity.WARNING, Cause.GATEWAY_TROUBLED, service.name, what)


def _asked_for(picture: Picture, service: Service) -> Iterator[Finding]:
    name = service.name
    if service.deleting:
        yield finding(Severity.NOTE, Cause.SERVICE_DELETING, name, f"{name} is being deleted")
        return
    if service.stopped:
        what = f"{name} is stopped: it has no instances, and its configuration is kept"
        yield finding(Severity.WARNING, Cause.SERVICE_STOPPED, name, what)
    gone_at = delete_at(service, picture.delete_idle_after)
    if gone_at is not None and (gone_at - picture.now).days < WARNINGS[0]:
        left = duration(max(gone_at - picture.now, gone_at - gone_at))
        what = f"{name} has not been running for long, and is deleted in {left} unless it runs before"
        yield finding(Severity.WARNING, Cause.SERVICE_IDLE, name, what)
    if service.safety_lock is not SafetyLock.NONE:
        refused = "every change" if service.safety_lock is SafetyLock.ALL else "to be stopped or deleted"
        what = f"{name} has the safety lock {service.safety_lock.value!r}: it refuses {refused}"
        yield finding(Severity.NOTE, Cause.SERVICE_LOCKED, name, what)


def _secrets(picture: Picture, service: Service) -> Iterator[Finding]:
    stored = picture.world.version(service.name, service.version)
    for path, ref in wants_of(stored.spec_json).references:
        secret = picture.world.secrets.get(ref.name)
        if secret is None or ref.key not in secret.keys:
            lacks = f"has no key {ref.key!r}" if secret else "is not there"
            what = f"{path} refers to secret {ref.name!r}, which {lacks}"
            yield finding(Severity.ERROR, Cause.SECRET_MISSING, service.name, what)


def _update(picture: Picture, service: Service) -> Iterator[Finding]:
    rollout = picture.world.rollouts.get(service.name)
    if rollout is None or rollout.version != service.version:
        return
    if rollout.because:
        what = (
            f"{service.name} went back from version {rollout.from_version} to {rollout.version} by itself, "
            f"because {rollout.because}"
        )
        yield finding(Severity.WARNING, Cause.ROLLED_BACK, service.name, what)
    way = f"the update from version {rollout.from_version} to {rollout.version}"
    if rollout.phase is RolloutPhase.FAILED:
        what = f"{way} {standing(rollout)}"
        yield finding(Severity.ERROR, Cause.ROLLOUT_FAILED, service.name, what)
    elif rollout.phase is RolloutPhase.PAUSED:
        # One that a user pauses, or that waits for the next batch, is as it should be.
        asked = rollout.paused or bool(rollout.partition or rollout.batch_size)
        severity = Severity.NOTE if asked else Severity.ERROR
        what = f"{way} is {standing(rollout)}"
        yield finding(severity, Cause.ROLLOUT_PAUSED, service.name, what)


def _size(service: Service, instances: list[Instance], sleeps: bool) -> Iterator[Finding]:
    """One that `sleeps` has callers that wait, where others have callers that are refused."""
    callers = "callers wait" if sleeps else "callers get 503"
    counted = [i for i in instances if not i.detached]
    ready = sum(i.serves for i in counted)
    name = service.name
    if not service.wanted and sleeps:
        return
    if not service.wanted:
        what = f"{name} is scaled to 0 instances: callers get 503"
        yield finding(Severity.WARNING, Cause.SCALED_TO_ZERO, name, what)
    elif not ready:
        one = f"the instance of {name} takes no requests"
        none = f"none of the {service.wanted} instances of {name} takes requests"
        what = f"{one if service.wanted == 1 else none}: {callers}"
        yield finding(Severity.ERROR, Cause.NOTHING_READY, name, what)
    elif ready < service.wanted:
        what = f"{ready} of the {service.wanted} instances of {name} take requests"
        yield finding(Severity.WARNING, Cause.TOO_FEW, name, what)


def _autoscaler(picture: Picture, service: Service, sleeps: bool) -> Iterator[Finding]:
    """Only of a service that leaves its size to it. Callers of one that is asleep wait in vain."""
    away, name = picture.autoscaler_away_since, service.name
    policies = ((picture.world.autoscalers, "load"), (picture.world.cronscalers, "schedule"))
    unheeded = [what for records, what in policies if name in records]
    if away is None or not unheeded:
        return
    asleep = sleeps and not service.wanted
    what = (
        f"the autoscaler is away since {away:%Y-%m-%d %H:%M:%S} UTC, for {duration(picture.now - away)}: "
        f"the size of {name} does not follow its {' and its '.join(unheeded)}"
        + (", and requests do not wake it" if asleep else "")
    )
    yield finding(Severity.ERROR if asleep else Severity.WARNING, Cause.AUTOSCALER_AWAY, name, what)
