"""What an update would do to the instances that are there, in sentences. Pure."""

from collections.abc import Iterable

from libs.domain.records import Instance, Rollout
from libs.domain.states import LIVE_STATES, TROUBLED_STATES
from libs.spec import parse_stored
from services.scheduler.admin.updating import Update
from services.scheduler.facts import facts
from services.scheduler.rollout.staging import kept


def steps_of(update: Update, instances: Iterable[Instance]) -> tuple[str, ...]:
    """One sentence each, in the order in which it would happen."""
    if update.rollout is None or update.in_place:
        return (_unreplaced(update),)
    live = [i for i in instances if i.state in LIVE_STATES and not i.detached]
    leaving = [i for i in live if i.version != update.version.number]
    failed = sorted(i.id for i in leaving if i.state in TROUBLED_STATES)
    sentences = [f"the failed instance {instance} is removed first" for instance in failed]
    if update.before.wanted != update.after.wanted:
        sentences.append(_resized(update))
    if update.before.stopped:
        number = update.version.number
        sentences.append(f"the service is stopped: version {number} runs once it is started")
    # Those that are there for a while beside the wanted ones are not counted.
    elif count := min(len(leaving) - len(failed), update.before.wanted):
        sentences.append(_replaced(update, count))
    return (*sentences, *_stages(update.rollout, update.after.wanted), *_taken_back(update))


def _unreplaced(update: Update) -> str:
    if update.in_place:
        resized = f"; {_resized(update)}" if update.before.wanted != update.after.wanted else ""
        number = update.version.number
        return f"version {number} takes the instances over as they are: nothing is replaced{resized}"
    if update.changes_nothing:
        return "nothing changes"
    if update.before.wanted == update.after.wanted:
        return "only labels change: nothing is replaced"
    before, after = update.before.wanted, update.after.wanted
    return f"only the number of instances changes, from {before} to {after}: nothing is replaced"


def _resized(update: Update) -> str:
    return f"the number of instances changes from {update.before.wanted} to {update.after.wanted}"


def _replaced(update: Update, count: int) -> str:
    wanted = update.after.wanted
    allowed = facts(parse_stored(update.version.spec_json).spec)
    surge, serving = allowed.surge(wanted), wanted - allowed.unavailable(wanted)
    return (
        f"{_instances(count, 'is', 'are')} replaced, at most {surge} more than {wanted} at a time "
        f"and never fewer than {serving} serving"
    )


def _stages(rollout: Rollout, wanted: int) -> list[str]:
    sentences = []
    if rollout.paused:
        sentences.append("it begins paused: nothing is replaced until it is resumed")
    if rollout.partition:
        held = kept(rollout, wanted)
        stay = _instances(held, "stays", "stay")
        sentences.append(f"{stay} at version {rollout.from_version} until the update is promoted")
    if rollout.batch_size:
        pause = "until it is resumed" if rollout.interval_s is None else f"of {rollout.interval_s} s"
        sentences.append(f"{rollout.batch_size} of the instances at a time, with a pause {pause} after each")
    return sentences


def _taken_back(update: Update) -> list[str]:
    rolling = parse_stored(update.version.spec_json).spec.metadata.rolling_strategy
    if not rolling.auto_rollback or update.rollout is None:
        return []
    return [f"if it fails, the service goes back to version {update.rollout.from_version} by itself"]


def _instances(count: int, one: str, more: str) -> str:
    return f"1 instance {one}" if count == 1 else f"{count} instances {more}"
