"""The policies that an update took the place of: remembered with it, and put back on the way back. Pure.

So whoever had changed a policy of a service finds it again when the next version of the service fails, also
where both versions' documents say something else. What was set after the update stays as it was set.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from libs.db.changes import Changes
from libs.domain.records import Event, Rollout, Service
from libs.domain.scaling import Autoscaler, Cronscaler, PolicyBefore
from services.scheduler.admin.writing import service_event
from services.scheduler.rollout.begin import is_back
from services.scheduler.scaling.policies import (
    AUTOSCALER,
    Policy,
    autoscaler_read,
    cronscaler_read,
    in_words,
    jobs_in_words,
    policy_of,
    with_states,
)
from services.scheduler.world import World


def to_put_back(world: World, service: Service) -> Mapping[str, PolicyBefore]:
    """By key, where `service` as it is to be has gone back to the version before its newest update."""
    newest = world.rollouts.get(service.name)
    if newest is None or is_back(newest) or newest.from_version != service.version:
        return {}
    return {each.key: each for each in newest.policies_before}


def put_back(service: str, entry: PolicyBefore, known: Policy | None) -> Policy | None:
    """What is in force after the way back; None for nothing. A job that ran meanwhile stays one that ran."""
    if _set_since(entry, known):
        return known
    if entry.created_at is None or entry.updated_at is None:
        return None
    revision = known.revision if known is not None else 0
    times = (entry.created_at, entry.updated_at)
    if entry.key == AUTOSCALER:
        return Autoscaler(service, entry.policy_json, *times, revision)
    jobs = entry.jobs
    if isinstance(known, Cronscaler):
        jobs = with_states(jobs, cronscaler_read(entry.policy_json), known)
    return Cronscaler(service, entry.policy_json, *times, jobs, revision)


def told_of(service: Service, entry: PolicyBefore, update: int, now: datetime) -> Event:
    """That a policy was put back, `update` being the version that had brought another."""
    noun = "autoscaler" if entry.key == AUTOSCALER else "schedule"
    if not entry.policy_json:
        why = f"it has no {noun} again, as before version {update}"
    elif entry.key == AUTOSCALER:
        said = in_words(autoscaler_read(entry.policy_json))
        why = f"its autoscaler is what it was before version {update}: {said}"
    else:
        said = jobs_in_words(cronscaler_read(entry.policy_json))
        why = f"its schedule is what it was before version {update}: {said}"
    return service_event(service, "PolicyPutBack", why, now)


def remembered(world: World, changes: Changes, service: str, brought: Mapping[str, Policy | None]) -> Changes:
    """The changes with what the update in them took the place of; `brought` is what it has, by key.

    An update that begins while another is under way goes back to where that one began: to the policies of
    then.
    """
    update = next((r for r in changes.put if isinstance(r, Rollout) and r.service == service), None)
    if update is None or is_back(update):
        return changes
    entries = dict(_of_update_under_way(world.rollouts.get(service), update))
    for key, policy in brought.items():
        known, entry = policy_of(world, service, key), entries.get(key)
        if entry is None or _set_since(entry, known):
            entry = _snapshot(key, known)
        entries[key] = replace(entry, brought_at=policy.updated_at if policy is not None else None)
    after = replace(update, policies_before=tuple(entries.values()))
    return replace(changes, put=tuple(after if each is update else each for each in changes.put))


def _of_update_under_way(newest: Rollout | None, update: Rollout) -> Mapping[str, PolicyBefore]:
    if newest is None or newest.finished_at is not None or is_back(newest):
        return {}
    same = newest.from_version == update.from_version
    return {each.key: each for each in newest.policies_before} if same else {}


def _set_since(entry: PolicyBefore, known: Policy | None) -> bool:
    """Whether the policy in force is another one than the update brought; a schedule that moves the bounds
    makes no other one of it."""
    return (known.updated_at if known is not None else None) != entry.brought_at


def _snapshot(key: str, known: Policy | None) -> PolicyBefore:
    if known is None:
        return PolicyBefore(key)
    jobs = known.jobs if isinstance(known, Cronscaler) else ()
    return PolicyBefore(
        key,
        policy_json=known.policy_json,
        created_at=known.created_at,
        updated_at=known.updated_at,
        jobs=jobs,
    )
