"""What this version reads and keeps, but does not act on yet. A line goes when its feature arrives."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from libs.spec.refusal import path_of
from libs.spec.service import ServiceSpec
from libs.spec.suggestions import Notice

_PART = re.compile(r'\[(?:"([^"]*)")?\]|\.?([A-Za-z0-9_-]+)')
_PROCESSOR = "services that a processor runs are not carried out yet; use an image under containers"
_BATCHING = "requests are not batched yet"
_ENGINE = "the threads of the engine are not set yet; the program in the image chooses its own"


def _always(spec: ServiceSpec) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Gap:
    """One feature that is not carried out yet. False, 0 and empty values do not use it."""

    path: str
    sentence: str
    matters: Callable[[ServiceSpec], bool] = _always


GAPS: tuple[Gap, ...] = (
    Gap("metadata.region", "one installation is one region; the value is kept and ignored"),
    Gap(
        "metadata.gpu_memory",
        "GPUs are not shared yet; ask for whole cards with metadata.gpu",
        lambda spec: spec.metadata.gpu == 0,
    ),
    Gap(
        "metadata.gpu_core_percentage",
        "GPUs are not shared yet; ask for whole cards with metadata.gpu",
        lambda spec: spec.metadata.gpu == 0,
    ),
    Gap("metadata.qos", "CPU is not shared by best effort yet; instances get the cores they name"),
    Gap("metadata.rdma", "RDMA devices are not handed to instances yet"),
    Gap(
        "metadata.type",
        "types of service other than Standard are not carried out yet; the service runs as a plain one",
        lambda spec: spec.metadata.type != "Standard",
    ),
    Gap(
        "metadata.workload_type",
        "jobs that end are not carried out yet; the program is restarted when it ends",
    ),
    Gap(
        "metadata.quota_id",
        "quotas are not carried out yet; instances use the public nodes or metadata.resource",
    ),
    Gap("metadata.rpc.batching", _BATCHING),
    Gap("metadata.rpc.max_batch_size", _BATCHING),
    Gap("metadata.rpc.max_batch_timeout", _BATCHING),
    Gap("metadata.rpc.io_threads", _ENGINE),
    Gap("metadata.rpc.enable_jemalloc", "jemalloc is not loaded; use an image that brings it"),
    Gap(
        "cloud.networking", "instances join the network of their node; private networks are kept and ignored"
    ),
    Gap(
        "containers[].resources.requests",
        "requests are kept and ignored; metadata.cpu and metadata.memory count",
    ),
    Gap(
        "storage[].nfs.resourceGroup",
        "the server is reached by its address alone; the value is kept and ignored",
    ),
    Gap("processor", _PROCESSOR),
    Gap("processor_path", _PROCESSOR),
    Gap("processor_entry", _PROCESSOR),
    Gap("processor_mainclass", _PROCESSOR),
    Gap("processor_type", _PROCESSOR),
    Gap("processor_envs", _PROCESSOR),
    Gap("model_path", "models are not fetched yet; mount them with storage"),
    Gap("oss_endpoint", "models are not fetched yet; the endpoint is kept and ignored"),
    Gap("model_entry", _PROCESSOR),
    Gap("model_config", _PROCESSOR),
    Gap("unit", "instances that span several nodes are not carried out yet; each instance is on one node"),
    Gap("aimaster", "nodes are not checked before an instance starts yet"),
    Gap("sinker", "requests and responses are not recorded yet"),
    Gap("confidential", "encrypted models are not opened yet"),
    Gap('features["eas.aliyun.com/enable-properties"]', "dynamic parameters are not handed to instances yet"),
    Gap("options.enable_ram_role", "there are no cloud roles here; the option is kept and ignored"),
    Gap("options.enableCache", "model files are not cached on the node yet"),
    Gap("properties", "dynamic parameters are not handed to instances yet"),
    Gap("queue", "asynchronous queues are not carried out yet"),
    Gap("front_end", "the process in front of a scalable job is not started yet"),
)


def not_carried_out(spec: ServiceSpec) -> tuple[Notice, ...]:
    """The features that a document uses and this version does not act on, one sentence each."""
    document = spec.to_json()
    return tuple(
        Notice(path_of(path), gap.sentence)
        for gap in GAPS
        if gap.matters(spec)
        for path, value in _found(document, _parts(gap.path), ())
        if _asks(value)
    )


def _parts(path: str) -> tuple[str, ...]:
    return tuple(quoted or plain for quoted, plain in _PART.findall(path))


def _found(
    value: object, parts: tuple[str, ...], at: tuple[str | int, ...]
) -> Iterator[tuple[tuple[str | int, ...], object]]:
    if not parts:
        yield at, value
    elif parts[0] == "" and isinstance(value, list):
        for index, item in enumerate(value):
            yield from _found(item, parts[1:], (*at, index))
    elif isinstance(value, dict) and parts[0] in value:
        yield from _found(value[parts[0]], parts[1:], (*at, parts[0]))


def _asks(value: object) -> bool:
    """Whether a value asks for something; an object with a switch does when the switch is on."""
    if isinstance(value, dict) and "enable" in value:
        return bool(value["enable"])
    return bool(value)
