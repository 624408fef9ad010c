"""What changes would make of the policies and the size of a service, in sentences. Pure."""

from collections.abc import Iterator

from libs.db.changes import Changes
from libs.domain.records import Service
from libs.domain.scaling import Autoscaler, Cronscaler
from services.scheduler.scaling.policies import (
    AUTOSCALER,
    CRONSCALER,
    Policy,
    autoscaler_read,
    cronscaler_read,
    in_words,
    jobs_in_words,
    policy_of,
)
from services.scheduler.world import World

_NOUNS = {AUTOSCALER: "autoscaler", CRONSCALER: "schedule"}
_KINDS = {AUTOSCALER: Autoscaler, CRONSCALER: Cronscaler}


def size_after(world: World, service: str, changes: Changes) -> int:
    """How many instances are wanted after the changes."""
    written = (each for each in changes.put if isinstance(each, Service) and each.name == service)
    return next(written, world.services[service]).wanted


def policy_steps(world: World, service: str, changes: Changes, asked: int) -> tuple[str, ...]:
    """What becomes of the autoscaler and the schedule, and of the `asked` size where a bound holds it."""
    refused = (event.why for event in changes.events if event.reason == "PolicyRefused")
    sentences = [*refused]
    for key in (AUTOSCALER, CRONSCALER):
        known = policy_of(world, service, key)
        sentences += _changed(_NOUNS[key], known, _after(changes, service, key, known))
    scaler = _after(changes, service, AUTOSCALER, policy_of(world, service, AUTOSCALER))
    if isinstance(scaler, Autoscaler):
        sentences += _held(scaler, asked, size_after(world, service, changes))
    return tuple(sentences)


def _after(changes: Changes, service: str, key: str, known: Policy | None) -> Policy | None:
    for each in changes.put:
        if isinstance(each, Autoscaler | Cronscaler) and (type(each), each.service) == (_KINDS[key], service):
            return each
    return None if known in changes.delete else known


def _changed(noun: str, before: Policy | None, after: Policy | None) -> Iterator[str]:
    if before is not None and after is None:
        yield f"its {noun} is removed: {_said(before)}"
    elif before is None and after is not None:
        yield f"it gets {'an' if noun == 'autoscaler' else 'a'} {noun}: {_said(after)}"
    elif before is not None and after is not None and before.policy_json != after.policy_json:
        was, now = _said(before), _said(after)
        yield f"its {noun} changes to {now}, from {was}" if was != now else f"its {noun} changes: still {now}"


def _held(record: Autoscaler, asked: int, wanted: int) -> Iterator[str]:
    scaler = autoscaler_read(record.policy_json)
    if asked != wanted == scaler.bounded(asked):
        bound = f"at least {scaler.min}" if asked < wanted else f"at most {scaler.max}"
        yield f"its autoscaler allows {bound} instances: there will be {wanted}, not {asked}"


def _said(policy: Policy) -> str:
    if isinstance(policy, Autoscaler):
        return in_words(autoscaler_read(policy.policy_json))
    return jobs_in_words(cronscaler_read(policy.policy_json))
