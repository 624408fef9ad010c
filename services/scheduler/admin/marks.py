"""What is written on a service beside its service.json: its lock, its labels, that it is to go. Pure."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from libs.db.changes import Changes
from libs.domain.errors import FailedPrecondition, InvalidRequest
from libs.domain.states import SafetyLock, ServiceState
from services.scheduler.admin.writing import changeable, takeable, written
from services.scheduler.world import World

_LOCKED = {
    SafetyLock.NONE: "the safety lock was taken off",
    SafetyLock.DANGEROUS: "locked against being stopped, scaled to 0 and deleted",
    SafetyLock.ALL: "locked against every change",
}
_LONGEST_KEY, _LONGEST_VALUE = 128, 1024


def locked(world: World, name: str, lock: SafetyLock, now: datetime) -> Changes:
    """Raises NotFound, and FailedPrecondition while the service is being deleted."""
    service = world.service(name)
    if service.deleting:
        raise FailedPrecondition(f"service {name!r} is being deleted")
    if service.safety_lock is lock:
        return Changes()
    return written(service, replace(service, safety_lock=lock), "ServiceLockSet", _LOCKED[lock], now)


def labelled(world: World, name: str, labels: Mapping[str, str], now: datetime) -> Changes:
    """Sets these labels and leaves the others; an empty value removes one. No version is made.

    Raises NotFound, InvalidRequest, FailedPrecondition.
    """
    service = changeable(world, name, "its labels cannot be changed")
    merged = merged_labels(service.labels, labels)
    if merged == service.labels:
        return Changes()
    changed = [key for key in labels if service.labels.get(key, "") != labels[key]]
    why = f"set by hand: {', '.join(sorted(changed))}"
    return written(service, replace(service, labels=merged), "ServiceLabelsSet", why, now)


def merged_labels(known: Mapping[str, str], labels: Mapping[str, str]) -> dict[str, str]:
    """The known labels with these set; an empty value removes one. Raises InvalidRequest."""
    for key, value in labels.items():
        _refuse_odd(key, value)
    return {key: value for key, value in {**known, **labels}.items() if value}


def deleted(world: World, name: str, why: str, now: datetime) -> Changes:
    """Nothing while it is leaving already. Raises NotFound, FailedPrecondition."""
    if world.service(name).deleting:
        return Changes()
    service = takeable(world, name, "it cannot be deleted")
    after = replace(service, deleting=True, state=ServiceState.DELETING)
    return written(service, after, "ServiceDeleteAsked", why, now)


def _refuse_odd(key: str, value: str) -> None:
    if not 0 < len(key) <= _LONGEST_KEY or "\0" in key:
        raise InvalidRequest("labels", key[:80], f"keys of 1 to {_LONGEST_KEY} characters")
    if len(value) > _LONGEST_VALUE or "\0" in value:
        raise InvalidRequest(f"labels[{key!r}]", value[:80], f"at most {_LONGEST_VALUE} characters of text")
