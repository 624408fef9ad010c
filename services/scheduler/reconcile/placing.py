"""Keeps the placement snapshot in step with what is stored, and asks the rules where instances go."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from libs.db.changes import Changes
from libs.domain.records import GpuFence, Instance, Node
from libs.domain.states import LIVE_STATES, InstanceState
from services.scheduler.facts import Facts
from services.scheduler.placement import Ask, Placement, Snapshot, Spot, place
from services.scheduler.pool.machine import machine_of, pool_of
from services.scheduler.pool.tiers import Tier, in_force, rank, used_by_tier, used_up
from services.scheduler.world import World


@dataclass(frozen=True)
class Crowd:
    """The service that an instance is one of: how many are wanted, and those that there are."""

    wanted: int = 0
    instances: tuple[Instance, ...] = ()


ALONE = Crowd()


class Placer:
    """Places instances against a snapshot that follows the ledger. Not safe across awaits by design."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._snapshot = Snapshot.of(
            world.nodes.values(), world.instances.values(), world.gpu_fences.values()
        )
        # Placed here, and not heard of as stored yet.
        self._assumed: set[str] = set()

    def heard(self, changes: Changes) -> None:
        """A ledger listener: takes over what was stored."""
        for record in changes.delete:
            if isinstance(record, Node):
                self._snapshot.remove_node(record.name)
            elif isinstance(record, Instance):
                self._assumed.discard(record.id)
                self._snapshot.release(record.id)
            elif isinstance(record, GpuFence):
                self._snapshot.remove_fence(record)
        for record in changes.put:
            if isinstance(record, Node):
                self._snapshot.upsert_node(record)
            elif isinstance(record, GpuFence):
                self._snapshot.upsert_fence(record)
            elif isinstance(record, Instance):
                self._assumed.discard(record.id)
                self._snapshot.upsert_instance(record)

    @property
    def snapshot(self) -> Snapshot:
        """The nodes as they stand now; whoever changes it puts it back before the next await."""
        return self._snapshot

    def tiers(self, facts: Facts) -> tuple[Tier, ...]:
        """Where instances of a version may go, in order, as the nodes are labelled now."""
        return in_force(facts.tiers, self._snapshot.typed)

    def rank(self, instance: Instance, facts: Facts) -> int:
        """The place of the instance's tier among those; the higher, the sooner it is given up."""
        tiers = self.tiers(facts)
        return rank(tiers, self._world.nodes.get(instance.node)) if len(tiers) > 1 else 0

    def place(
        self, pending: Iterable[tuple[Instance, Facts]], now: datetime, crowd: Crowd = ALONE
    ) -> list[Instance]:
        """The instances that changed: placed ones, and those whose reason for waiting is a new one.

        What is placed here is held in the snapshot at once; `undo` gives back what was not stored.
        """
        changed = []
        for instance, facts in pending:
            answer = self.place_in(self.tiers(facts), instance, facts, now, crowd)
            if isinstance(answer, Instance):
                crowd = replace(crowd, instances=(*crowd.instances, answer))
                changed.append(answer)
            elif instance.why != answer:
                changed.append(replace(instance, why=answer))
        return changed

    def place_in(
        self, tiers: tuple[Tier, ...], instance: Instance, facts: Facts, now: datetime, crowd: Crowd
    ) -> Instance | str:
        """The instance on a node of the first of these tiers that has room, held there at once; else why
        none has."""
        answer = self._sought(tiers, instance, facts, crowd)
        if isinstance(answer, str):
            return answer
        node = self._snapshot.node(answer.node)
        machine = machine_of(node.labels)
        placed = replace(
            instance,
            state=InstanceState.SCHEDULED,
            node=answer.node,
            gpu_uuids=answer.gpu_uuids,
            host_port=answer.host_port,
            epoch=instance.epoch + 1,
            why=answer.why,
            placed_at=now,
            resource_group=node.resource_group,
            pool=pool_of(node, self._world.resource_groups.get(node.resource_group)),
            instance_type=machine.instance_type,
            price=machine.price or 0.0,
        )
        self._assumed.add(placed.id)
        self._snapshot.upsert_instance(placed)
        return placed

    def fits_without(self, instance: Instance, facts: Facts, gone: Instance, crowd: Crowd = ALONE) -> bool:
        """Whether `instance` would find a node if `gone` left its own. Nothing is held for it."""
        others = replace(crowd, instances=tuple(i for i in crowd.instances if i.id != gone.id))
        self._snapshot.release(gone.id)
        try:
            return isinstance(self._sought(self.tiers(facts), instance, facts, others), Placement)
        finally:
            self._snapshot.upsert_instance(gone)

    def room_for(self, pending: Iterable[tuple[Instance, Facts, Crowd]]) -> int:
        """How many of these would find a node, one after the other. Nothing is held for them."""
        placed: list[Instance] = []
        try:
            for instance, facts, crowd in pending:
                near = (each for each in placed if each.service == instance.service)
                beside = replace(crowd, instances=(*crowd.instances, *near))
                answer = self._sought(self.tiers(facts), instance, facts, beside)
                if isinstance(answer, Placement):
                    self._snapshot.assume(answer)
                    placed.append(replace(instance, node=answer.node, state=InstanceState.SCHEDULED))
            return len(placed)
        finally:
            for each in placed:
                self._snapshot.release(each.id)

    def _sought(
        self, tiers: tuple[Tier, ...], instance: Instance, facts: Facts, crowd: Crowd
    ) -> Placement | str:
        reasons = []
        for place_of_tier, tier in enumerate(tiers):
            if why := self._used_up(place_of_tier, facts, crowd):
                reasons.append(why)
                continue
            answer = place(ask_for(instance, facts, tier, only=len(tiers) == 1), self._snapshot)
            if isinstance(answer, Placement):
                return answer
            reasons.append(answer.reasons[0])
        return f"no node fits: {'; '.join(reasons)}"

    def _used_up(self, place_of_tier: int, facts: Facts, crowd: Crowd) -> str:
        """Why the tier takes no more of this service; empty where it does."""
        tiers = self.tiers(facts)
        tier = tiers[place_of_tier]
        if tier.cap is None:
            return ""
        there = (self._world.nodes.get(i.node) for i in crowd.instances if i.node and i.state in LIVE_STATES)
        return used_up(tier, used_by_tier(tiers, there, crowd.wanted)[place_of_tier], crowd.wanted)

    def undo(self) -> None:
        """Gives back what `place` held for instances that were not stored. Safe to repeat."""
        for instance in self._assumed:
            self._snapshot.release(instance)
        self._assumed.clear()


def ask_for(instance: Instance, facts: Facts, tier: Tier, only: bool = False) -> Ask:
    """What placement must know of an instance that may go to this tier; `only` where it has no other."""
    wanted, limit = instance.resources, tier.spot_limit
    return Ask(
        instance=instance.id,
        service=instance.service,
        resource_group=tier.resource_group,
        cpu_milli=wanted.cpu_milli,
        memory_mib=wanted.memory_mib,
        disk_mib=wanted.disk_mib,
        gpus=wanted.gpus,
        gpu_model=facts.gpu_model,
        port=facts.port,
        spread=facts.spread,
        image=facts.image,
        cuda=facts.cuda,
        gpu_driver=facts.gpu_driver,
        instance_type=tier.instance_type,
        spot=Spot.ANY if tier.own else Spot.NONE if limit is None else Spot.ONLY,
        spot_limit=limit or 0.0,
        among="" if only and tier.plain else tier.name,
    )
