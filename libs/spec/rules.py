"""Rules that join several keys of service.json: one function each; the refusal names the key to change."""

from collections.abc import Callable
from itertools import pairwise

from libs.spec.cloud import OWN_NODES
from libs.spec.probe import Probe
from libs.spec.refusal import NOTHING, Path, Words, refused
from libs.spec.scaling_rules import sizes_can_be_chosen
from libs.spec.secret_refs import parse_ref, values_that_may_refer
from libs.spec.service import ServiceSpec
from libs.spec.storage import SHARED_MEMORY, Oss
from libs.spec.switches import switches_can_be_read

# Services of these types bring their own program.
_SELF_CONTAINED = frozenset({"LLMGatewayService"})
_SYSTEM_DIRECTORIES = frozenset(
    {"/", "/etc", "/usr", "/usr/local", "/usr/local/bin", "/usr/local/lib", "/var"}
)
_SYSTEM_TREES = (
    "/bin",
    "/boot",
    "/dev",
    "/lib",
    "/lib32",
    "/lib64",
    "/proc",
    "/run",
    "/sbin",
    "/sys",
    "/usr/bin",
    "/usr/lib",
    "/usr/lib64",
    "/usr/sbin",
)
_HANDLERS = ("http_get", "tcp_socket", "exec")
_PROBES = ("startup_check", "liveness_check", "readiness_check", "health_check")


def check(spec: ServiceSpec) -> None:
    """Raises InvalidSpec for the first rule that the document breaks."""
    for rule in RULES:
        rule(spec)


def something_runs(spec: ServiceSpec) -> None:
    """There is a container, or a processor, or a type that brings its own program."""
    if spec.containers or spec.processor or spec.processor_path:
        return
    if spec.metadata.type not in _SELF_CONTAINED:
        raise refused(("containers",), NOTHING, "one container with an image, or a processor")


def one_container(spec: ServiceSpec) -> None:
    """There is one main container."""
    if len(spec.containers) > 1:
        found = Words(f"{len(spec.containers)} containers")
        raise refused(("containers", 1), found, "one main container and no other")


def one_way_to_start(spec: ServiceSpec) -> None:
    """A container has a script or a command, not both; without either, the image says what runs."""
    for index, container in enumerate(spec.containers):
        if container.script is not None and container.command is not None:
            path = ("containers", index, "command")
            raise refused(path, container.command, "either script or command, not both")


def probes_have_one_handler(spec: ServiceSpec) -> None:
    """A probe asks in exactly one way."""
    for index, container in enumerate(spec.containers):
        for name in _PROBES:
            probe: Probe | None = getattr(container, name)
            if probe is None:
                continue
            handlers = [handler for handler in _HANDLERS if getattr(probe, handler) is not None]
            if len(handlers) != 1:
                found = Words(" and ".join(handlers)) if handlers else NOTHING
                raise refused(
                    ("containers", index, name), found, "exactly one of http_get, tcp_socket and exec"
                )


def commands_of_probes_say_something(spec: ServiceSpec) -> None:
    """A probe that runs a command names it."""
    for index, container in enumerate(spec.containers):
        for name in _PROBES:
            probe: Probe | None = getattr(container, name)
            if probe is not None and probe.exec is not None and not probe.exec.command:
                path = ("containers", index, name, "exec", "command")
                raise refused(path, [], "a command with at least one word")


def custom_processors_name_their_entry(spec: ServiceSpec) -> None:
    """A processor of one's own says which file, or which class, is its entry."""
    if spec.processor_type in ("cpp", "python") and not spec.processor_entry:
        raise refused(("processor_entry",), NOTHING, "the file of the processor that is loaded")
    if spec.processor_type == "java" and not spec.processor_mainclass:
        raise refused(("processor_mainclass",), NOTHING, "the main class of the processor")


def a_gpu_model_needs_a_gpu(spec: ServiceSpec) -> None:
    """A model is asked for together with a number of whole GPUs."""
    if spec.metadata.gpu_model is not None and spec.metadata.gpu == 0:
        raise refused(("metadata", "gpu"), spec.metadata.gpu, "at least 1 beside metadata.gpu_model")


def gpu_slices_have_memory(spec: ServiceSpec) -> None:
    """A share of a GPU's compute comes with a share of its memory; whole cards come with neither."""
    metadata = spec.metadata
    if metadata.gpu == 0 and metadata.gpu_core_percentage is not None and metadata.gpu_memory is None:
        raise refused(("metadata", "gpu_memory"), NOTHING, "a value beside metadata.gpu_core_percentage")


def own_or_rented(spec: ServiceSpec) -> None:
    """A resource group and rented types exclude each other, but for the elastic pool."""
    computing = spec.cloud.computing
    rented = computing.instance_type is not None or any(i.type != OWN_NODES for i in computing.instances)
    both = any(i.type == OWN_NODES for i in computing.instances) or spec.metadata.resource_burstable
    if spec.metadata.resource is not None and rented and not both:
        expected = "no resource group beside cloud.computing, or metadata.resource_burstable true"
        raise refused(("metadata", "resource"), spec.metadata.resource, expected)


def updates_can_move(spec: ServiceSpec) -> None:
    """An update may add an instance, or do without one."""
    strategy, surge = spec.metadata.rolling_strategy, spec.metadata.rolling_strategy.max_surge
    if strategy.max_unavailable is not None and strategy.max_unavailable.number == 0 == surge.number:
        path = ("metadata", "rolling_strategy", "max_surge")
        raise refused(path, Words(str(surge)), "a value above 0 when max_unavailable is 0")


def one_grace_period(spec: ServiceSpec) -> None:
    """The two places of the grace period agree."""
    here, there = spec.metadata.eas.termination_grace_period, spec.runtime.termination_grace_period
    if None not in (here, there) and here != there:
        path = ("runtime", "termination_grace_period")
        raise refused(path, there, f"the same as metadata.eas.termination_grace_period, {here}")


def one_gateway(spec: ServiceSpec) -> None:
    """The two places of the gateway agree."""
    here, there = spec.networking.gateway, spec.metadata.gateway
    if None not in (here, there) and here != there:
        raise refused(("metadata", "gateway"), there, f"the same as networking.gateway, {here!r}")


def limits_that_are_on_say_how_much(spec: ServiceSpec) -> None:
    """A limit that is enabled has a number."""
    policy = spec.networking.gateway_policy
    for name, limit in (
        ("rate_limit", policy.rate_limit),
        ("concurrency_limit", policy.concurrency_limit),
    ):
        if limit.enable and limit.limit is None:
            path = ("networking", "gateway_policy", name, "limit")
            raise refused(path, NOTHING, "a number from 1, since the limit is enabled")


def one_kind_of_load_balancer(spec: ServiceSpec) -> None:
    """A load balancer of the service's own and a named one exclude each other."""
    kinds = [entry.id == "default" for entry in spec.networking.nlb]
    if len(set(kinds)) > 1:
        index = kinds.index(not kinds[0])
        found = spec.networking.nlb[index].id
        raise refused(("networking", "nlb", index, "id"), found, 'either "default" throughout, or named ids')


def registries_are_named(spec: ServiceSpec) -> None:
    """A registry entry has an id, in one of its spellings."""
    for index, entry in enumerate(spec.networking.nacos):
        if entry.nacos_id is None and entry.id is None:
            raise refused(("networking", "nacos", index, "nacos_id"), NOTHING, "the id of a registry")


def mounts_have_one_source(spec: ServiceSpec) -> None:
    """A mount has exactly one source."""
    for index, mount in enumerate(spec.storage):
        if len(mount.sources) != 1:
            found = Words(" and ".join(mount.sources)) if mount.sources else NOTHING
            expected = "exactly one of oss, nfs, git, dataset, image, host_path and empty_dir"
            raise refused(("storage", index), found, expected)


def mounts_hide_no_system_directory(spec: ServiceSpec) -> None:
    """A mount does not cover what the image or the kernel needs; /dev/shm takes memory only."""
    for index, mount in enumerate(spec.storage):
        path, where = ("storage", index, "mount_path"), _normal(mount.mount_path)
        if where == SHARED_MEMORY:
            if mount.empty_dir is None:
                raise refused(path, mount.mount_path, "empty_dir as the source of a mount at /dev/shm")
        elif where in _SYSTEM_DIRECTORIES or any(_holds(tree, where) for tree in _SYSTEM_TREES):
            raise refused(path, mount.mount_path, "a path that hides no system directory, such as /mnt/data")


def mounts_do_not_overlap(spec: ServiceSpec) -> None:
    """No mount lies on or in another."""
    places = sorted((_normal(mount.mount_path) + "/", index) for index, mount in enumerate(spec.storage))
    for (outer, first), (inner, second) in pairwise(places):
        if inner.startswith(outer):
            path: Path = ("storage", max(first, second), "mount_path")
            written = spec.storage[max(first, second)].mount_path
            raise refused(path, written, f"a path apart from that of storage[{min(first, second)}]")


def references_to_secrets_are_whole(spec: ServiceSpec) -> None:
    """A value that begins with secret:// names a secret."""
    for path, value in values_that_may_refer(spec):
        try:
            parse_ref(value)
        except ValueError:
            raise refused(path, value, "secret://NAME or secret://NAME/KEY") from None


def warm_up_requests_are_in_a_file(spec: ServiceSpec) -> None:
    """The requests are an object of a bucket, or a file that the instance sees."""
    path = spec.warm_up_data_path
    if path is None or path.startswith("/"):
        return
    try:
        Oss(path=path)
    except ValueError:
        expected = "oss://bucket/path/of/file, or the absolute path of a file in a mount"
        raise refused(("warm_up_data_path",), path, expected) from None


def records_have_a_destination(spec: ServiceSpec) -> None:
    """A recorder's type has its own configuration."""
    sinker = spec.sinker
    if sinker is not None and getattr(sinker.config, sinker.type) is None:
        path = ("sinker", "config", sinker.type)
        raise refused(path, NOTHING, f"where to record, since sinker.type is {sinker.type!r}")


RULES: tuple[Callable[[ServiceSpec], None], ...] = (
    something_runs,
    one_container,
    one_way_to_start,
    probes_have_one_handler,
    commands_of_probes_say_something,
    custom_processors_name_their_entry,
    a_gpu_model_needs_a_gpu,
    gpu_slices_have_memory,
    own_or_rented,
    updates_can_move,
    one_grace_period,
    one_gateway,
    limits_that_are_on_say_how_much,
    one_kind_of_load_balancer,
    registries_are_named,
    mounts_have_one_source,
    mounts_hide_no_system_directory,
    mounts_do_not_overlap,
    references_to_secrets_are_whole,
    warm_up_requests_are_in_a_file,
    sizes_can_be_chosen,
    records_have_a_destination,
    switches_can_be_read,
)


def _normal(path: str) -> str:
    return "/" + "/".join(part for part in path.split("/") if part)


def _holds(tree: str, path: str) -> bool:
    return path == tree or path.startswith(f"{tree}/")
