"""One node as a rule's one-node form sees it: plain values, worked out from the records."""

from dataclasses import dataclass
from functools import cached_property

from libs.domain.records import Gpu, Node, Resources
from libs.domain.states import Runtime
from services.scheduler.placement.ask import Held


@dataclass(frozen=True)
class NodeView:
    """A node, what instances hold on it, and how many of the asking service are near."""

    node: Node
    held: tuple[Held, ...]
    free_gpus: tuple[Gpu, ...]
    of_service: int
    of_service_in_zone: int

    @cached_property
    def free(self) -> Resources:
        """What is left; below zero where a node shrank under its instances."""
        offered, held = self.node.capacity, [each.resources for each in self.held]
        return Resources(
            cpu_milli=offered.cpu_milli - sum(each.cpu_milli for each in held),
            memory_mib=offered.memory_mib - sum(each.memory_mib for each in held),
            disk_mib=offered.disk_mib - sum(each.disk_mib for each in held),
            gpus=len(self.free_gpus),
        )

    @cached_property
    def taken_ports(self) -> frozenset[int]:
        return taken_ports(self.node, self.held)

    @property
    def hands_out_ports(self) -> bool:
        return self.node.runtime is Runtime.PROCESS


def taken_ports(node: Node, held: tuple[Held, ...]) -> frozenset[int]:
    """Ports that are in use on the host or promised to an instance."""
    taken = {each.host_port for each in held}
    # Elsewhere that is a port that the engine published, or one of a network of containers.
    if node.runtime is Runtime.PROCESS:
        taken |= {each.listens_on for each in held}
    return frozenset(node.busy_ports) | (taken - {0})


def port_range(node: Node) -> range:
    """The ports that may be handed out unasked; empty where the agent named none."""
    return range(node.first_port, node.last_port + 1) if node.first_port > 0 else range(0)


def load_percent(capacity: Resources, free_cpu_milli: int, free_memory_mib: int) -> int:
    """The larger of the held CPU and memory shares, 0 to 100."""
    return max(_percent(capacity.cpu_milli, free_cpu_milli), _percent(capacity.memory_mib, free_memory_mib))


def _percent(capacity: int, free: int) -> int:
    if capacity <= 0:
        return 100
    return min(100, max(0, 100 * (capacity - free) // capacity))
