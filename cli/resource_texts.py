"""Cores, memory and labels, as a person reads them. Pure."""

from collections.abc import Mapping

from easel_sdk.types import Resources


def labels_text(labels: Mapping[str, str]) -> str:
    return ",".join(f"{key}={value}" for key, value in sorted(labels.items()))


def cores(milli: int) -> str:
    return f"{milli / 1000:g}"


def gib(mib: int) -> str:
    return f"{mib / 1024:.1f}Gi" if mib >= 1024 else f"{mib}Mi"


def used_of(used: Resources, whole: Resources) -> str:
    """What is placed of what there is: CPU, memory, GPUs."""
    gpus = f"  {used.gpus}/{whole.gpus} GPU" if whole.gpus else ""
    cpu = f"{cores(used.cpu_milli)}/{cores(whole.cpu_milli)} CPU"
    return f"{cpu}  {gib(used.memory_mib)}/{gib(whole.memory_mib)}{gpus}"
