"""Nodes, instances and asks that say only what a test is about."""

from datetime import UTC, datetime
from typing import Any

from libs.domain.records import Gpu, Instance, Node, Resources
from services.scheduler.placement import Ask

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
ROOMY = Resources(cpu_milli=64_000, memory_mib=256 * 1024, disk_mib=1024 * 1024)


def a_node(
    name: str, *, gpus: int | tuple[Gpu, ...] = 0, gpu_model: str = "NVIDIA A100-SXM4-80GB", **changes: Any
) -> Node:
    """A roomy node of the process runtime; `gpus` is their number or the devices themselves."""
    if isinstance(gpus, int):
        gpus = tuple(a_gpu(f"{name}-gpu-{i}", i, gpu_model) for i in range(gpus))
    usual: dict[str, Any] = {"capacity": ROOMY, "first_port": 20_000, "last_port": 20_999}
    return Node(name=name, created_at=EPOCH, gpus=gpus, **(usual | changes))


def a_gpu(uuid: str, index: int = 0, model: str = "NVIDIA A100-SXM4-80GB", healthy: bool = True) -> Gpu:
    return Gpu(uuid, index, model, 81_920, healthy)


def an_ask(instance: str = "web-1", *, service: str = "web", **changes: Any) -> Ask:
    return Ask(instance=instance, service=service, **changes)


def an_instance(name: str, *, service: str = "web", **changes: Any) -> Instance:
    return Instance(id=name, service=service, version=1, created_at=EPOCH, **changes)
