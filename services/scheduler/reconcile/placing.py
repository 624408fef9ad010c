"""Keeps the placement snapshot in step with what is stored, and asks the rules where instances go."""

from collections.abc import Iterable
from dataclasses import replace

from libs.db.changes import Changes
from libs.domain.records import GpuFence, Instance, Node
from libs.domain.states import InstanceState
from services.scheduler.facts import Facts
from services.scheduler.placement import Ask, Snapshot, Unplaced, place
from services.scheduler.world import World


class Placer:
    """Places instances against a snapshot that follows the ledger. Not safe across awaits by design."""

    def __init__(self, world: World) -> None:
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

    def place(self, pending: Iterable[tuple[Instance, Facts]]) -> list[Instance]:
        """The instances that changed: placed ones, and those whose reason for waiting is a new one.

        What is placed here is held in the snapshot at once; `undo` gives back what was not stored.
        """
        changed = []
        for instance, facts in pending:
            answer = place(ask_for(instance, facts), self._snapshot)
            if isinstance(answer, Unplaced):
                if instance.why != answer.why:
                    changed.append(replace(instance, why=answer.why))
                continue
            placed = replace(
                instance,
                state=InstanceState.SCHEDULED,
                node=answer.node,
                gpu_uuids=answer.gpu_uuids,
                host_port=answer.host_port,
                epoch=instance.epoch + 1,
                why=answer.why,
            )
            self._assumed.add(placed.id)
            self._snapshot.upsert_instance(placed)
            changed.append(placed)
        return changed

    def fits_without(self, instance: Instance, facts: Facts, gone: Instance) -> bool:
        """Whether `instance` would find a node if `gone` left its own. Nothing is held for it."""
        self._snapshot.release(gone.id)
        try:
            return not isinstance(place(ask_for(instance, facts), self._snapshot), Unplaced)
        finally:
            self._snapshot.upsert_instance(gone)

    def undo(self) -> None:
        """Gives back what `place` held for instances that were not stored. Safe to repeat."""
        for instance in self._assumed:
            self._snapshot.release(instance)
        self._assumed.clear()


def ask_for(instance: Instance, facts: Facts) -> Ask:
    """What placement must know of an instance."""
    wanted = instance.resources
    return Ask(
        instance=instance.id,
        service=instance.service,
        resource_group=facts.resource_group,
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
    )
