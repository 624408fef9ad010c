"""Documents that are refused, each with the path that the refusal names."""

from typing import Any, NamedTuple


class Malformed(NamedTuple):
    """One document: text as it was sent, or an object; and the JSON path of its first problem."""

    id: str
    document: str | dict[str, Any]
    path: str


def _service(**changes: Any) -> dict[str, Any]:
    """A good document with some top-level keys changed; None leaves a key out."""
    good: dict[str, Any] = {
        "metadata": {"name": "broken_service", "instance": 1, "cpu": 1, "memory": 1024},
        "containers": [{"image": "registry.example/app:1", "script": "python app.py", "port": 8000}],
    }
    return {key: value for key, value in {**good, **changes}.items() if value is not None}


def _metadata(**changes: Any) -> dict[str, Any]:
    good: dict[str, Any] = {"name": "broken_service", "instance": 1, "cpu": 1, "memory": 1024}
    return _service(metadata={key: value for key, value in {**good, **changes}.items() if value is not None})


def _container(**changes: Any) -> dict[str, Any]:
    good = {"image": "registry.example/app:1", "port": 8000}
    return _service(containers=[{**good, **changes}])


def _probe(**keys: Any) -> dict[str, Any]:
    return _container(liveness_check=keys)


def _mounts(*mounts: dict[str, Any]) -> dict[str, Any]:
    return _service(storage=list(mounts))


def _oss(path: str, at: str = "/mnt/data") -> dict[str, Any]:
    return {"mount_path": at, "oss": {"path": path}}


_TEXT = [
    Malformed("no text", "", "$"),
    Malformed("no JSON", "name: quick_start", "$"),
    Malformed("JSON that ends early", '{"metadata": {"name": "abc"', "$"),
    Malformed("a trailing comma", '{"metadata": {"name": "abc"},}', "$"),
    Malformed("an array of documents", '[{"metadata": {"name": "abc"}}]', "$"),
    Malformed("a text in quotes", '"service"', "$"),
    Malformed("a null document", "null", "$"),
    Malformed("not a number", '{"metadata": {"name": "abc", "cpu": NaN}}', "$"),
    Malformed("an infinite number", '{"metadata": {"name": "abc", "cpu": 1e999}}', "metadata.cpu"),
    Malformed(
        "an integer beyond 64 bits",
        '{"metadata": {"name": "abc", "memory": 99999999999999999999}}',
        "metadata.memory",
    ),
    Malformed("a thousand levels", '{"a": ' * 1000 + "1" + "}" * 1000, "$"),
    Malformed("one key with two values", '{"metadata": {"name": "abc", "name": "abd"}}', "metadata.name"),
    Malformed("half a surrogate pair", '{"metadata": {"name": "ab\\ud800"}}', "metadata.name"),
    Malformed("a NUL character", '{"token": "a\\u0000b"}', "token"),
]

_IDENTITY = [
    Malformed("an empty document", {}, "metadata.name"),
    Malformed("no name", _metadata(name=None), "metadata.name"),
    Malformed("a name that is a number", _metadata(name=42), "metadata.name"),
    Malformed("a short name", _metadata(name="ab"), "metadata.name"),
    Malformed("a long name", _metadata(name="a" * 64), "metadata.name"),
    Malformed("capitals in the name", _metadata(name="Quick_Start"), "metadata.name"),
    Malformed("a dot in the name", _metadata(name="quick.start"), "metadata.name"),
    Malformed("a hyphen before the name", _metadata(name="-quick"), "metadata.name"),
    Malformed("a line end after the name", _metadata(name="quick\n"), "metadata.name"),
    Malformed("two names", _service(name="another_name"), "metadata.name"),
    Malformed("metadata as an array", _service(metadata=[]), "metadata"),
    Malformed("an empty token", _service(token=""), "token"),
    Malformed("a token with a space", _service(token="two words"), "token"),
    Malformed("labels as an array", _service(labels=["team"]), "labels"),
    Malformed("a label with an object", _service(labels={"team": {}}), "labels.team"),
    Malformed("a login that is not base64", _service(dockerAuth="user:password"), "dockerAuth"),
    Malformed("a login without a password", _service(dockerAuth="dXNlcg=="), "dockerAuth"),
]

_SIZE = [
    Malformed("negative instances", _metadata(instance=-1), "metadata.instance"),
    Malformed("half an instance", _metadata(instance=1.5), "metadata.instance"),
    Malformed("instances as a boolean", _metadata(instance=True), "metadata.instance"),
    Malformed("instances as a word", _metadata(instance="two"), "metadata.instance"),
    Malformed("no cores", _metadata(cpu=0), "metadata.cpu"),
    Malformed("negative cores", _metadata(cpu=-2), "metadata.cpu"),
    Malformed("cores as a word", _metadata(cpu="many"), "metadata.cpu"),
    Malformed("no memory", _metadata(memory=0), "metadata.memory"),
    Malformed("memory in an unknown unit", _metadata(memory="4 gigs"), "metadata.memory"),
    Malformed("negative GPUs", _metadata(gpu=-1), "metadata.gpu"),
    Malformed("half a GPU", _metadata(gpu=0.5), "metadata.gpu"),
    Malformed("a GPU model without a GPU", _metadata(gpu_model="A10"), "metadata.gpu"),
    Malformed("a GPU's compute without its memory", _metadata(gpu_core_percentage=10), "metadata.gpu_memory"),
    Malformed(
        "more than one GPU's compute",
        _metadata(gpu_memory=4, gpu_core_percentage=101),
        "metadata.gpu_core_percentage",
    ),
    Malformed("a disk without a number", _metadata(disk="large"), "metadata.disk"),
    Malformed("half a GiB of shared memory", _metadata(shm_size="512Mi"), "metadata.shm_size"),
    Malformed("an unknown quality", _metadata(qos="Guaranteed"), "metadata.qos"),
    Malformed("a switch that is neither", _metadata(enable_grpc="yes"), "metadata.enable_grpc"),
    Malformed(
        "an unknown spread",
        _metadata(scheduling={"spread": {"policy": "rack"}}),
        "metadata.scheduling.spread.policy",
    ),
]

_REQUESTS = [
    Malformed("no time for a request", _metadata(rpc={"keepalive": 0}), "metadata.rpc.keepalive"),
    Malformed("rpc as a number", _metadata(rpc=5000), "metadata.rpc"),
    Malformed(
        "two spellings that disagree",
        _metadata(**{"rpc": {"keepalive": 5000}, "rpc.keepalive": 6000}),
        "metadata.rpc.keepalive",
    ),
    Malformed(
        "a proxy path without a slash", _metadata(rpc={"proxy_path": "api"}), "metadata.rpc.proxy_path"
    ),
    Malformed(
        "a negative grace period",
        _metadata(**{"eas.termination_grace_period": -1}),
        "metadata.eas.termination_grace_period",
    ),
    Malformed(
        "two grace periods",
        {**_metadata(**{"eas.termination_grace_period": 20}), "runtime": {"termination_grace_period": 30}},
        "runtime.termination_grace_period",
    ),
    Malformed(
        "a surge above all",
        _metadata(rolling_strategy={"max_surge": "120%"}),
        "metadata.rolling_strategy.max_surge",
    ),
    Malformed(
        "an update that cannot move",
        _metadata(rolling_strategy={"max_surge": 0, "max_unavailable": 0}),
        "metadata.rolling_strategy.max_surge",
    ),
    Malformed(
        "a limit without a number",
        _service(networking={"gateway_policy": {"rate_limit": {"enable": True}}}),
        "networking.gateway_policy.rate_limit.limit",
    ),
    Malformed(
        "a listener on a reserved port",
        _service(networking={"nlb": [{"id": "default", "listener_port": 8080}]}),
        "networking.nlb[0].listener_port",
    ),
    Malformed(
        "two kinds of load balancer",
        _service(
            networking={"nlb": [{"id": "default", "listener_port": 80}, {"id": "nlb-1", "listener_port": 81}]}
        ),
        "networking.nlb[1].id",
    ),
    Malformed(
        "a registry without an id", _service(networking={"nacos": [{}]}), "networking.nacos[0].nacos_id"
    ),
    Malformed(
        "own nodes and rented ones",
        {**_metadata(resource="eas-r-1"), "cloud": {"computing": {"instance_type": "ecs.c7.large"}}},
        "metadata.resource",
    ),
    Malformed(
        "a free spot machine",
        _service(cloud={"computing": {"instances": [{"type": "ecs.c7.large", "spot_price_limit": 0}]}}),
        "cloud.computing.instances[0].spot_price_limit",
    ),
]

_CONTAINERS = [
    Malformed("nothing to run", _service(containers=None), "containers"),
    Malformed("no container in the array", _service(containers=[]), "containers"),
    Malformed("containers as an object", _service(containers={"image": "app:1"}), "containers"),
    Malformed("a container as a text", _service(containers=["app:1"]), "containers[0]"),
    Malformed("two containers", _service(containers=[{"image": "a:1"}, {"image": "b:1"}]), "containers[1]"),
    Malformed("no image", _service(containers=[{"script": "python app.py"}]), "containers[0].image"),
    Malformed("an empty image", _container(image=""), "containers[0].image"),
    Malformed("script and command", _container(script="a", command="b"), "containers[0].command"),
    Malformed("a quote left open", _container(command="python 'app.py"), "containers[0].command"),
    Malformed("a script as an array", _container(script=["python"]), "containers[0].script"),
    Malformed("an argument that is a number", _container(command="a", args=[1]), "containers[0].args[0]"),
    Malformed("the first reserved port", _container(port=8080), "containers[0].port"),
    Malformed("the second reserved port", _container(port="9090"), "containers[0].port"),
    Malformed("port zero", _container(port=0), "containers[0].port"),
    Malformed("a port beyond the last", _container(port=65536), "containers[0].port"),
    Malformed("env as an object", _container(env={"A": "1"}), "containers[0].env"),
    Malformed("a variable without a name", _container(env=[{"value": "1"}]), "containers[0].env[0].name"),
    Malformed("a variable named by a number", _container(env=[{"name": 1}]), "containers[0].env[0].name"),
    Malformed("an equals sign in a name", _container(env=[{"name": "A=B"}]), "containers[0].env[0].name"),
    Malformed(
        "an object in a variable", _container(env=[{"name": "A", "value": {}}]), "containers[0].env[0].value"
    ),
    Malformed(
        "requirements as a text",
        _container(prepare={"pythonRequirements": "flask"}),
        "containers[0].prepare.pythonRequirements",
    ),
    Malformed(
        "a limit of no memory",
        _container(resources={"limits": {"memory": 0}}),
        "containers[0].resources.limits.memory",
    ),
]

_PROBES = [
    Malformed("a probe that asks nothing", _probe(period_seconds=5), "containers[0].liveness_check"),
    Malformed(
        "a probe that asks twice",
        _probe(tcp_socket={"port": 8000}, http_get={"path": "/"}),
        "containers[0].liveness_check",
    ),
    Malformed(
        "a probe without a period",
        _probe(tcp_socket={}, period_seconds=0),
        "containers[0].liveness_check.period_seconds",
    ),
    Malformed(
        "a probe of an empty command",
        _probe(exec={"command": []}),
        "containers[0].liveness_check.exec.command",
    ),
    Malformed(
        "a probe of a relative path",
        _probe(http_get={"path": "health"}),
        "containers[0].liveness_check.http_get.path",
    ),
]

_STORAGE = [
    Malformed(
        "warm-up outside buckets and mounts", _service(warm_up_data_path="oss://"), "warm_up_data_path"
    ),
    Malformed("warm-up by a relative path", _service(warm_up_data_path="warm.bin"), "warm_up_data_path"),
    Malformed("storage as an object", _service(storage={"mount_path": "/mnt/data"}), "storage"),
    Malformed("a mount without a path", _mounts({"empty_dir": {}}), "storage[0].mount_path"),
    Malformed("a relative mount", _mounts(_oss("oss://b/p/", at="mnt/data")), "storage[0].mount_path"),
    Malformed("a mount that climbs", _mounts(_oss("oss://b/p/", at="/mnt/../etc")), "storage[0].mount_path"),
    Malformed("a mount without a source", _mounts({"mount_path": "/mnt/data"}), "storage[0]"),
    Malformed("a mount with two sources", _mounts({**_oss("oss://b/p/"), "empty_dir": {}}), "storage[0]"),
    Malformed("a mount over everything", _mounts(_oss("oss://b/p/", at="/")), "storage[0].mount_path"),
    Malformed("a mount over /etc", _mounts(_oss("oss://b/p/", at="/etc/")), "storage[0].mount_path"),
    Malformed("a mount over a device", _mounts(_oss("oss://b/p/", at="/dev/null")), "storage[0].mount_path"),
    Malformed(
        "a bucket as shared memory", _mounts(_oss("oss://b/p/", at="/dev/shm")), "storage[0].mount_path"
    ),
    Malformed(
        "two mounts at one place",
        _mounts(_oss("oss://b/p/"), _oss("oss://b/q/", at="/mnt/data/")),
        "storage[1].mount_path",
    ),
    Malformed(
        "a mount inside another",
        _mounts(_oss("oss://b/p/", at="/mnt/data/model"), _oss("oss://b/q/")),
        "storage[1].mount_path",
    ),
    Malformed("a bucket without a scheme", _mounts(_oss("b/p/")), "storage[0].oss.path"),
    Malformed("a bucket without a name", _mounts(_oss("oss:///p/")), "storage[0].oss.path"),
    Malformed("a bucket path that climbs", _mounts(_oss("oss://b/../../etc/")), "storage[0].oss.path"),
    Malformed(
        "a git mount of a local path",
        _mounts({"mount_path": "/code", "git": {"repo": "/srv"}}),
        "storage[0].git.repo",
    ),
    Malformed(
        "a git mount with a password in its address",
        _mounts({"mount_path": "/code", "git": {"repo": "https://ann:pass@git.example/r.git"}}),
        "storage[0].git.repo",
    ),
    Malformed(
        "an NFS mount without a server", _mounts({"mount_path": "/nas", "nfs": {}}), "storage[0].nfs.server"
    ),
    Malformed(
        "a directory on tape",
        _mounts({"mount_path": "/x", "empty_dir": {"medium": "tape"}}),
        "storage[0].empty_dir.medium",
    ),
]

_REST = [
    Malformed("fewer at most than at least", _service(autoscaler={"min": 3, "max": 2}), "autoscaler.max"),
    Malformed("more at least than by default", _service(autoscaler={"min": 11}), "autoscaler.min"),
    Malformed(
        "a metric without a name",
        _service(autoscaler={"scaleStrategies": [{"threshold": 1}]}),
        "autoscaler.scaleStrategies[0].metricName",
    ),
    Malformed(
        "a threshold of zero", _service(autoscaler={"strategies": {"qps": 0}}), "autoscaler.strategies.qps"
    ),
    Malformed("a processor in an unknown language", _service(processor_type="rust"), "processor_type"),
    Malformed(
        "a processor without an entry",
        _service(processor_type="python", processor_path="p.zip"),
        "processor_entry",
    ),
    Malformed("a record of an unknown kind", _service(sinker={"type": "kafka"}), "sinker.type"),
    Malformed("a record that goes nowhere", _service(sinker={"type": "sls"}), "sinker.config.sls"),
    Malformed("a unit of nothing", _service(unit={"size": 0}), "unit.size"),
    Malformed("features as a text", _service(features="all"), "features"),
    Malformed(
        "extra disk that is no size",
        _service(features={"eas.aliyun.com/extra-ephemeral-storage": "lots"}),
        'features["eas.aliyun.com/extra-ephemeral-storage"]',
    ),
    Malformed(
        "a GPU driver that is no version",
        _service(features={"eas.aliyun.com/gpu-driver-version": "tesla=newest"}),
        'features["eas.aliyun.com/gpu-driver-version"]',
    ),
    Malformed("a model configuration of numbers", _service(model_config=[1, 2]), "model_config"),
]

MALFORMED: tuple[Malformed, ...] = (
    *_TEXT,
    *_IDENTITY,
    *_SIZE,
    *_REQUESTS,
    *_CONTAINERS,
    *_PROBES,
    *_STORAGE,
    *_REST,
)
