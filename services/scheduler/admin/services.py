"""What can be done to a service: each a decision committed in one go."""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from libs.db.changes import Changes
from libs.domain.errors import AlreadyExists, FailedPrecondition, InvalidRequest
from libs.domain.records import Service, ServiceVersion
from libs.domain.states import SafetyLock, ServiceState
from libs.spec.autoscaler import MAX_REPLICAS
from services.scheduler.admin import marks, rollouts
from services.scheduler.admin.cloning import cloned
from services.scheduler.admin.diff import Changed, changed_keys
from services.scheduler.admin.specs import Accepted, accept, ensure_secrets
from services.scheduler.admin.steps import steps_of
from services.scheduler.admin.updating import (
    Update,
    UpdateAsk,
    changes_of,
    decide_update,
    warned_events,
)
from services.scheduler.admin.writing import changeable, service_event, takeable, written
from services.scheduler.facts import facts
from services.scheduler.groups.membership import placed, refuse_taken, with_groups
from services.scheduler.ledger import Decision, Ledger
from services.scheduler.masking import masked
from services.scheduler.rollout.begin import Action, PlanAsked
from services.scheduler.scaling.apply import refuse_unknown_instances
from services.scheduler.scaling.by_version import with_policies
from services.scheduler.scaling.foreseen import policy_steps, size_after
from services.scheduler.scaling.sizes import first_size, scaled_by_hand
from services.scheduler.secrets.vault import Vault
from services.scheduler.world import World


@dataclass(frozen=True)
class Foreseen:
    """What an update would do."""

    changes: tuple[Changed, ...]
    version: int
    rolls: bool
    steps: tuple[str, ...]
    warnings: tuple[str, ...]


class Services:
    """Safe to call concurrently; every call is answered from what was committed.

    Each raises NotFound, and FailedPrecondition where the service's lock or state does not allow it.
    """

    def __init__(
        self,
        ledger: Ledger,
        clock: Callable[[], datetime],
        traceparent: Callable[[], str],
        vault: Vault | None = None,
    ) -> None:
        """Without a vault it is not asked whether the secrets that a service refers to can be read."""
        self._ledger, self._clock, self._traceparent, self._vault = ledger, clock, traceparent, vault

    async def create(self, spec_json: str, idempotency_key: str) -> tuple[Service, tuple[str, ...]]:
        """Raises InvalidSpec, AlreadyExists, FailedPrecondition while one of that name is being deleted."""
        made: list[Accepted] = []

        def decide(world: World) -> Changes:
            taken = accept(spec_json, world, self._clock())
            made[:] = [taken]
            known = world.services.get(taken.spec.name)
            if known is not None:
                _same_call_again(world, known, taken, idempotency_key)
                return Changes()
            self._ensure_secrets(world, taken.spec_json)
            return self._created(world, taken, idempotency_key, "the service was created")

        await self._ledger.change(decide)
        return self._ledger.world.service(made[0].spec.name), made[0].warnings

    async def clone(self, name: str, new_name: str, change: str) -> tuple[Service, tuple[str, ...]]:
        """A new service with the document in force of another. Raises InvalidSpec, AlreadyExists."""
        made: list[Accepted] = []

        def decide(world: World) -> Changes:
            taken = cloned(world, name, new_name, change, self._clock())
            self._ensure_secrets(world, taken.spec_json)
            made[:] = [taken]
            return self._created(world, taken, "", f"the service was cloned from {name!r}")

        await self._ledger.change(decide)
        return self._ledger.world.service(new_name), made[0].warnings

    async def update(self, ask: UpdateAsk) -> tuple[Service, tuple[str, ...]]:
        """Raises InvalidRequest, InvalidSpec, Conflict."""
        made: list[Update] = []

        def decide(world: World) -> Changes:
            made[:] = [self._decided(world, ask)]
            return self._carried_out(world, made[0])

        return await self._changed(ask.name, decide), made[0].warnings

    def foresee(self, ask: UpdateAsk) -> Foreseen:
        """What `update` would do now; nothing is changed. Raises what `update` raises."""
        world, now = self._ledger.world, self._clock()
        update = self._decided(world, ask)
        asked = update.before.wanted if update.asked is None else update.asked
        changes = with_policies(world, changes_of(update, "", now), now)
        wanted = size_after(world, ask.name, changes)
        update = replace(update, after=replace(update.after, wanted=wanted))
        return Foreseen(
            changes=changed_keys(update.document_before, update.document_after),
            version=update.version.number,
            rolls=update.rolls,
            steps=(
                *steps_of(update, world.instances_of(ask.name)),
                *policy_steps(world, ask.name, changes, asked),
                *_steps_of_groups(world, update),
            ),
            warnings=update.warnings,
        )

    async def scale(self, name: str, instances: int, why: str, leave_first: tuple[str, ...] = ()) -> Service:
        """`leave_first` are instances that go before others.

        Raises InvalidRequest, also for a size beyond the bounds of its autoscaler.
        """
        if instances > MAX_REPLICAS:
            raise InvalidRequest("instances", instances, f"at most {MAX_REPLICAS}")

        def decide(world: World) -> Changes:
            service = changeable(world, name, "it cannot be scaled")
            refuse_unknown_instances(world, service, leave_first, service.wanted - instances)
            if service.wanted == instances:
                return Changes()
            if instances == 0:
                takeable(world, name, "it cannot go to 0 instances")
            return scaled_by_hand(world, service, instances, why, leave_first, self._clock())

        return await self._changed(name, decide)

    async def stop(self, name: str) -> Service:
        """Keeps everything but the instances."""

        def decide(world: World) -> Changes:
            service = takeable(world, name, "it cannot be stopped")
            if service.stopped:
                return Changes()
            after = replace(service, stopped=True)
            return written(service, after, "ServiceStopAsked", "a stop was asked for", self._clock())

        return await self._changed(name, decide)

    async def start(self, name: str) -> Service:
        def decide(world: World) -> Changes:
            service = changeable(world, name, "it cannot be started")
            if not service.stopped:
                return Changes()
            after = replace(service, stopped=False, state=ServiceState.CREATING)
            return written(service, after, "ServiceStartAsked", "a start was asked for", self._clock())

        return await self._changed(name, decide)

    async def restart(self, name: str) -> Service:
        """Every instance made before now is replaced, successors first."""
        now = self._clock()

        def decide(world: World) -> Changes:
            service = changeable(world, name, "it cannot be restarted")
            if service.stopped:
                raise FailedPrecondition(f"service {name!r} is stopped; start it instead")
            after = replace(service, restarted_at=now)
            return written(service, after, "ServiceRestartAsked", "a restart was asked for", now)

        return await self._changed(name, decide)

    async def delete(self, name: str) -> None:
        """Repeating it while the service is leaving changes nothing."""
        await self._ledger.change(
            lambda world: marks.deleted(world, name, "a deletion was asked for", self._clock())
        )

    async def lock(self, name: str, lock: SafetyLock) -> Service:
        return await self._changed(name, lambda world: marks.locked(world, name, lock, self._clock()))

    async def label(self, name: str, labels: Mapping[str, str]) -> Service:
        """Sets these labels; an empty value removes one. Raises InvalidRequest."""
        return await self._changed(name, lambda world: marks.labelled(world, name, labels, self._clock()))

    async def control_rollout(self, name: str, action: Action) -> Service:
        """Pauses, resumes or promotes the update under way."""
        return await self._changed(name, lambda world: rollouts.acted(world, name, action, self._clock()))

    async def undo_rollout(self, name: str) -> Service:
        """Back to the version before the newest update."""

        def decide(world: World) -> Changes:
            return self._carried_out(world, self._decided(world, rollouts.way_back(world, name)))

        return await self._changed(name, decide)

    async def replan_rollout(self, name: str, plan: PlanAsked) -> Service:
        """Other stages for the rest of the update under way."""
        return await self._changed(name, lambda world: rollouts.planned(world, name, plan, self._clock()))

    def _decided(self, world: World, ask: UpdateAsk) -> Update:
        update = decide_update(world, ask, self._clock())
        # What replaces no instance goes through: they have their secrets already.
        if update.rollout is not None:
            self._ensure_secrets(world, update.version.spec_json)
        return update

    def _carried_out(self, world: World, update: Update) -> Changes:
        now = self._clock()
        return with_groups(world, changes_of(update, self._traceparent(), now), now)

    def _ensure_secrets(self, world: World, spec_json: str) -> None:
        if self._vault is not None:
            ensure_secrets(world, self._vault, spec_json)

    async def _changed(self, name: str, decide: Decision) -> Service:
        await self._ledger.change(decide)
        return self._ledger.world.service(name)

    def _created(self, world: World, taken: Accepted, idempotency_key: str, why: str) -> Changes:
        now, name = self._clock(), taken.spec.name
        refuse_taken(world, name)
        begun = Service(
            name=name,
            id=f"svc-{secrets.token_hex(6)}",
            version=1,
            wanted=first_size(taken.spec),
            token=taken.token,
            created_at=now,
            updated_at=now,
            resource_group=facts(taken.spec).resource_group,
            labels=dict(taken.spec.labels),
            traceparent=self._traceparent(),
            idempotency_key=idempotency_key,
            why="accepted",
        )
        service = placed(world, begun, taken.spec)
        version = ServiceVersion(name, 1, taken.spec_json, now, why)
        created = service_event(service, "ServiceCreated", "version 1 was accepted", now)
        told = (created, *warned_events(service, taken.warnings, now))
        return with_groups(world, Changes((service, version), (), told), now)


def _steps_of_groups(world: World, update: Update) -> tuple[str, ...]:
    """What an update does to groups, one sentence each."""
    moved = with_groups(world, Changes(put=(update.after,)), update.after.updated_at)
    return tuple(event.why for event in moved.events)


def _same_call_again(world: World, known: Service, taken: Accepted, key: str) -> None:
    if known.deleting:
        raise FailedPrecondition(f"service {known.name!r} is being deleted; create it again once it is gone")
    if key and known.idempotency_key == key:
        first = world.version(known.name, 1).spec_json
        if masked(first) == masked(taken.spec_json):
            return
    raise AlreadyExists(
        f"there is a service {known.name!r} already; change it with `easel modify {known.name} -s FILE`"
    )
