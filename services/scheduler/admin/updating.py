"""What an update of a service comes to. Pure: it is shown before it is made, by the same decision."""

import json
from dataclasses import dataclass, replace
from datetime import datetime

from libs.db.changes import Changes, Record
from libs.domain.errors import Conflict, FailedPrecondition, InvalidRequest, InvalidSpec
from libs.domain.records import Event, Instance, Rollout, Service, ServiceVersion
from libs.domain.states import EventKind, RolloutPhase
from libs.spec import parse_stored
from libs.spec.outside import running_part
from services.scheduler.admin.documents import (
    Document,
    in_force,
    only_labels_differ,
    same_but_for_instances,
)
from services.scheduler.admin.specs import Accepted, accept, updated
from services.scheduler.admin.writing import changeable, resized, service_event, takeable, written
from services.scheduler.gateways.ports import refuse_taken_listeners
from services.scheduler.gateways.registries import refuse_unknown
from services.scheduler.groups.membership import placed
from services.scheduler.pointer import pointed_at
from services.scheduler.rollout.begin import PlanAsked, begin_rollout, is_back, version_before
from services.scheduler.rollout.situation import update_of
from services.scheduler.rollout.staging import kept
from services.scheduler.scaling.history import BY_HAND, Cause, scaled
from services.scheduler.scaling.sizes import size_asked
from services.scheduler.world import World

NO_EFFECT = "plan: no instance is replaced, so it has no effect"
IN_PLACE = "nothing in it reaches instances, so none is replaced"
_ONLY_LABELS = "labels: nothing else changes; `easel label {}` sets them without replacing instances"


@dataclass(frozen=True)
class UpdateAsk:
    """An update: a change of the service.json, or a version that is there already. No plan takes its own.

    One that `undoes` another comes from the version in force, whatever worked last.
    """

    name: str
    change: str = ""
    replace: bool = False
    to_version: int = 0
    if_revision: int = 0
    plan: PlanAsked | None = None
    undoes: bool = False


@dataclass(frozen=True)
class Update:
    """The service before and after, with both documents.

    A rollout where there is another version; one that is made in place takes the instances over as they are
    (`taken_over`). `asked` is the number of instances that a document named, whatever bounds made of it.
    """

    before: Service
    after: Service
    document_before: Document
    document_after: Document
    version: ServiceVersion
    why: str
    rollout: Rollout | None = None
    warnings: tuple[str, ...] = ()
    in_place: bool = False
    taken_over: tuple[Instance, ...] = ()
    asked: int | None = None

    @property
    def changes_nothing(self) -> bool:
        return self.rollout is None and self.before == self.after

    @property
    def rolls(self) -> bool:
        """Whether instances are replaced."""
        return self.rollout is not None and not self.in_place


def decide_update(world: World, ask: UpdateAsk, now: datetime) -> Update:
    """Raises NotFound, InvalidRequest, InvalidSpec, Conflict, FailedPrecondition."""
    service = changeable(world, ask.name)
    if ask.if_revision and ask.if_revision != service.edits:
        raise Conflict(f"service {ask.name!r} has revision {service.edits} by now, not {ask.if_revision}")
    update = (_pointed if ask.to_version else _changed)(world, service, ask, now)
    if update.after.wanted == 0 and service.wanted:
        takeable(world, ask.name, "it cannot go to 0 instances")
    return update


def changes_of(update: Update, traceparent: str, now: datetime) -> Changes:
    """What must be stored for the update to happen."""
    before, after = update.before, update.after
    if update.rollout is None:
        if update.changes_nothing:
            return Changes()
        if before.wanted == after.wanted:
            return written(before, after, "ServiceLabelsSet", update.why, now)
        told = written(before, after, "ServiceScaled", update.why, now)
        return replace(told, events=(scaled(before, after.wanted, Cause(BY_HAND, update.why), now),))
    told = written(before, replace(after, traceparent=traceparent), "ServiceUpdated", update.why, now)
    new: tuple[Record, ...] = () if update.version.revision else (update.version,)
    events = (*told.events, *_sized(update, now), *warned_events(after, update.warnings, now))
    return Changes((*told.put, *new, update.rollout, *update.taken_over), (), events)


def _sized(update: Update, now: datetime) -> tuple[Event, ...]:
    """The event of another size that comes with another version."""
    before, wanted, number = update.before, update.after.wanted, update.version.number
    if before.wanted == wanted:
        return ()
    why = f"scaled from {before.wanted} to {wanted} instances by the update to version {number}"
    return (scaled(before, wanted, Cause(BY_HAND, why), now),)


def warned_events(service: Service, warnings: tuple[str, ...], now: datetime) -> tuple[Event, ...]:
    return tuple(service_event(service, "SpecWarning", each, now, EventKind.WARNING) for each in warnings)


def _pointed(world: World, service: Service, ask: UpdateAsk, now: datetime) -> Update:
    number = ask.to_version
    if number == service.version:
        raise InvalidRequest("to_version", number, "a version other than the one in force")
    version = world.version(service.name, number)
    after = pointed_at(service, version)
    if after.resource_group not in world.resource_groups:
        raise FailedPrecondition(
            f"version {number} of {service.name!r} runs in resource group {after.resource_group!r}, "
            "which is not there any more"
        )
    document_before = in_force(service, world.version(service.name, service.version))
    document_after = in_force(after, version)
    after = _placed_again(world, after, version)
    way = "back to" if number < service.version else "on to"
    update = Update(
        before=service,
        after=after,
        document_before=document_before,
        document_after=document_after,
        version=version,
        why=f"version {number}: {way} it from version {service.version}",
    )
    return _carried_out(world, update, ask, now)


def _placed_again(world: World, service: Service, version: ServiceVersion) -> Service:
    """Where a version puts the service that was accepted long ago, and may not be any more."""
    spec = parse_stored(version.spec_json).spec
    try:
        refuse_taken_listeners(world, spec)
        refuse_unknown(world, spec)
        return placed(world, service, spec)
    except InvalidSpec as refused:
        raise FailedPrecondition(
            f"version {version.number} of {service.name!r} cannot be gone to any more: {refused}"
        ) from None


def _changed(world: World, service: Service, ask: UpdateAsk, now: datetime) -> Update:
    stored = world.version(service.name, service.version)
    before = in_force(service, stored)
    taken = _accepted(world, service, before, ask, now)
    document, wanted = (
        json.loads(taken.spec_json),
        size_asked(world, service, taken.spec, stored, ask.replace),
    )
    after = replace(resized(service, wanted), labels=dict(taken.spec.labels), token=taken.token)
    # Labels that were set apart may also go back to what the version's own document says.
    if any(same_but_for_instances(document, known) for known in (before, json.loads(stored.spec_json))):
        return Update(
            before=service,
            after=after,
            document_before=before,
            document_after=in_force(after, stored),
            version=stored,
            why=_resized(service, wanted),
            warnings=(*taken.warnings, *((NO_EFFECT,) if ask.plan else ())),
            asked=taken.spec.metadata.instance,
        )
    number = max(world.versions[service.name]) + 1
    version = ServiceVersion(service.name, number, taken.spec_json, now, "the service was modified")
    hints = (_ONLY_LABELS.format(service.name),) if only_labels_differ(before, document) else ()
    update = Update(
        before=service,
        after=placed(world, resized(pointed_at(service, version), wanted), taken.spec),
        document_before=before,
        document_after=document,
        version=version,
        why=f"version {number}: {version.why}",
        warnings=(*taken.warnings, *hints),
        asked=taken.spec.metadata.instance,
    )
    return _carried_out(world, update, ask, now)


def _carried_out(world: World, update: Update, ask: UpdateAsk, now: datetime) -> Update:
    """The update with what becomes of the instances: replaced, or taken over where nothing that reaches them
    differs."""
    if running_part(update.document_before) == running_part(update.document_after):
        no_effect = (NO_EFFECT,) if ask.plan else ()
        return replace(_taken_over(world, update, now), warnings=(*update.warnings, *no_effect))
    rollout = _begun(world, update.before, update.version, ask, now)
    hints = _plan_warnings(ask, rollout, update.after.wanted)
    return replace(update, rollout=rollout, warnings=(*update.warnings, *hints))


def _taken_over(world: World, update: Update, now: datetime) -> Update:
    """What is under way goes on to the new version; else all is done at once."""
    before, number = update.before, update.version.number
    known = world.rollouts.get(before.name)
    under_way = update_of(before, known)
    done = replace(
        begin_rollout(before.name, number, before.version, update.version.spec_json, PlanAsked(), now, known),
        phase=RolloutPhase.COMPLETED,
        why=IN_PLACE,
        finished_at=now,
    )
    stable = number if before.stable_version == before.version else before.stable_version
    return replace(
        update,
        after=replace(update.after, stable_version=stable),
        why=f"{update.why}; {IN_PLACE}",
        rollout=_going_on(under_way, before, number) if under_way is not None else done,
        in_place=True,
        taken_over=tuple(
            replace(instance, version=number, made_from=instance.document_version)
            for instance in world.instances_of(before.name)
            if instance.version == before.version
        ),
    )


def _going_on(under_way: Rollout, before: Service, number: int) -> Rollout:
    """The update under way, to a version that is to instances what it went to. On the way back it comes from
    the version that was gone back to: undone, it must not lead to the one that failed."""
    if is_back(under_way) or number == under_way.from_version:
        return replace(under_way, version=number, from_version=before.version, because="")
    return replace(under_way, version=number)


def _accepted(world: World, service: Service, before: Document, ask: UpdateAsk, now: datetime) -> Accepted:
    changed = updated(json.dumps(before), ask.change, ask.replace)
    if ask.replace and service.labels and "labels" not in changed:
        # They may have been set apart, of which the file that replaces the document knows nothing.
        changed["labels"] = dict(service.labels)
    taken = accept(changed, world, now, service.token)
    if taken.spec.name != service.name:
        raise InvalidSpec("metadata.name", taken.spec.name, f"{service.name!r}; a service keeps its name")
    return taken


def _begun(world: World, service: Service, version: ServiceVersion, ask: UpdateAsk, now: datetime) -> Rollout:
    known = world.rollouts.get(service.name)
    source = service.version if ask.undoes else version_before(service, known, version.number)
    return begin_rollout(service.name, version.number, source, version.spec_json, ask.plan, now, known)


def _plan_warnings(ask: UpdateAsk, rollout: Rollout, wanted: int) -> tuple[str, ...]:
    """What the stages that were asked for come to, where that may surprise."""
    if ask.plan is None:
        return ()
    if wanted and kept(rollout, wanted) >= wanted:
        every = "the instance stays" if wanted == 1 else f"all {wanted} instances stay"
        return (
            f"plan.partition: {every} at version {rollout.from_version}; "
            "nothing is replaced until the update is promoted",
        )
    if ask.plan.interval_s is not None and not ask.plan.batch_size:
        return (f"plan.interval: no batch size was named; {rollout.batch_size} are replaced at a time",)
    return ()


def _resized(service: Service, wanted: int) -> str:
    if service.wanted == wanted:
        return "labels were set by an update"
    return f"scaled from {service.wanted} to {wanted} instances by an update"
