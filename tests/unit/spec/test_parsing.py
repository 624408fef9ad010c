"""What a service.json means: spellings that are equal, defaults, and what its author is told."""

import json

import pytest

from libs.domain.errors import InvalidSpec
from libs.spec import Notice, ServiceSpec, dump_service, parse_service


def a_service(**keys: object) -> dict[str, object]:
    good: dict[str, object] = {"name": "quick_start", "containers": [{"image": "app:1", "port": 8000}]}
    return {**good, **keys}


def parsed(**keys: object) -> ServiceSpec:
    return parse_service(a_service(**keys)).spec


def noticed(**keys: object) -> list[str]:
    return [str(notice) for notice in parse_service(a_service(**keys)).warnings]


def test_text_bytes_and_mappings_are_read_alike() -> None:
    document = a_service(labels={"team": "søk"})

    as_text = json.dumps(document)

    assert parse_service(as_text) == parse_service(document)
    assert parse_service(as_text.encode()) == parse_service(document)
    assert parse_service("\ufeff" + as_text) == parse_service(document)


def test_the_name_may_stand_at_the_top_in_metadata_or_in_both() -> None:
    containers = [{"image": "app:1"}]
    top = {"name": "quick-start", "containers": containers}
    inner = {"metadata": {"name": "quick-start"}, "containers": containers}

    names = [parse_service(document).spec.name for document in (top, inner, {**top, **inner})]

    assert names == ["quick-start"] * 3
    assert parse_service(top).spec == parse_service(inner).spec


@pytest.mark.parametrize("written", [True, "true", "True", " TRUE "])
def test_a_boolean_may_be_text(written: object) -> None:
    assert parsed(generate_token=written, metadata={"enable_grpc": written}).metadata.enable_grpc


def test_numbers_may_be_text() -> None:
    metadata = parsed(metadata={"instance": "2", "cpu": "0.5", "memory": "4096", "gpu": 1.0}).metadata

    assert (metadata.instance, metadata.cpu, metadata.memory, metadata.gpu) == (2, 0.5, 4096, 1)


def test_sizes_may_carry_units() -> None:
    metadata = parsed(metadata={"cpu": "500m", "memory": "4Gi", "disk": "40Gi", "shm_size": "64Gi"}).metadata

    assert metadata.disk is not None
    assert (metadata.cpu, metadata.memory, metadata.disk.mib, metadata.shm_size) == (0.5, 4096, 40960, 64)


def test_a_bare_disk_is_in_gib_and_bare_memory_in_mib() -> None:
    metadata = parsed(metadata={"disk": 40, "memory": 40}).metadata

    assert metadata.disk is not None
    assert (metadata.disk.mib, metadata.memory) == (40960, 40)


@pytest.mark.parametrize(
    "document",
    [
        a_service(metadata={"rpc": {"keepalive": 10000}}),
        a_service(metadata={"rpc.keepalive": 10000}),
        a_service(**{"metadata.rpc.keepalive": 10000}),
        a_service(**{"metadata.rpc": {"keepalive": 10000}}),
        a_service(**{"metadata.rpc.keepalive": 10000, "metadata": {"rpc": {"keepalive": 10000}}}),
    ],
)
def test_dotted_keys_equal_nested_objects(document: dict[str, object]) -> None:
    parsed_document = parse_service(document)

    assert parsed_document.spec.metadata.rpc.keepalive == 10000
    assert parsed_document.warnings == ()


def test_dots_in_keys_of_the_users_own_stay() -> None:
    spec = parsed(**{"features.eas.aliyun.com/enable-rollout": "true", "labels": {"a.b": 1}})

    assert spec.features == {"eas.aliyun.com/enable-rollout": "true"}
    assert spec.labels == {"a.b": "1"}


def test_two_spellings_that_disagree_are_refused() -> None:
    with pytest.raises(InvalidSpec, match=r"^metadata\.cpu: got 2, expected the same value"):
        parsed(**{"metadata": {"cpu": 1}, "metadata.cpu": 2})


def test_null_means_absent() -> None:
    spec = parsed(
        token=None,
        autoscaler=None,
        cloud={"computing": {"instances": None}},
        **{"metadata.rpc.keepalive": None, "unit.size": None},
    )

    assert dump_service(spec) == dump_service(parsed(cloud={"computing": {}}))
    assert spec.unit is None


def test_what_is_left_out_has_the_documented_default() -> None:
    spec = parsed()

    assert (spec.metadata.instance, spec.metadata.gpu, spec.metadata.rpc.keepalive) == (1, 0, 5000)
    assert spec.termination_grace_seconds == 30
    assert spec.headroom.of(10) == (1, 0)
    assert spec.metadata.scheduling.spread.policy == "default"


def test_the_grace_period_has_three_spellings() -> None:
    spellings: list[dict[str, object]] = [
        {"metadata": {"eas.termination_grace_period": 60}},
        {"metadata": {"eas": {"termination_grace_period": "60"}}},
        {"runtime": {"termination_grace_period": 60}},
    ]

    assert [parsed(**spelling).termination_grace_seconds for spelling in spellings] == [60, 60, 60]


def test_of_a_variable_given_twice_the_last_value_counts() -> None:
    env = [{"name": "A", "value": "1"}, {"name": "B", "value": 2}, {"name": "A", "value": True}]

    container = parsed(containers=[{"image": "app:1", "env": env}]).container

    assert container is not None
    assert container.environment == {"A": "true", "B": "2"}


def test_an_image_alone_is_enough() -> None:
    container = parsed(containers=[{"image": "app:1"}]).container

    assert container is not None
    assert (container.script, container.command, container.port) == (None, None, None)


def test_a_bucket_path_has_a_bucket_and_a_prefix() -> None:
    mounts = [
        {"mount_path": "/a", "oss": {"path": "oss://models/llm/v1/"}},
        {"mount_path": "/b", "oss": {"path": "oss://models.oss-cn-hangzhou.aliyuncs.com/"}},
    ]

    first, second = (mount.oss for mount in parsed(storage=mounts).storage)

    assert first is not None
    assert second is not None
    assert (first.bucket, first.prefix, first.read_only) == ("models", "llm/v1", False)
    assert (second.bucket, second.prefix) == ("models", "")


def test_shared_memory_comes_from_its_mount_or_from_its_size() -> None:
    mount = {"mount_path": "/dev/shm", "empty_dir": {"medium": "memory", "size_limit": 8}}

    assert parsed(storage=[mount], metadata={"shm_size": 2}).shared_memory_mib == 8192
    assert parsed(metadata={"shm_size": 2}).shared_memory_mib == 2048
    assert parsed().shared_memory_mib is None


def test_a_registry_login_is_a_user_and_a_password() -> None:
    assert parsed(dockerAuth="dXNlcjpwYTpzcw==").registry_login == ("user", "pa:ss")


@pytest.mark.parametrize(
    ("strategy", "replicas", "expected"),
    [
        ({}, 100, (2, 0)),
        ({"max_surge": "30%"}, 10, (3, 0)),
        ({"max_surge": 2, "max_unavailable": 1}, 10, (2, 1)),
        ({"max_surge": 0, "max_unavailable": "25%"}, 10, (0, 2)),
        ({"max_surge": 0, "max_unavailable": "25%"}, 2, (1, 0)),
    ],
)
def test_an_update_can_always_move(
    strategy: dict[str, object], replicas: int, expected: tuple[int, int]
) -> None:
    spec = parsed(metadata={"rolling_strategy": strategy})

    assert spec.headroom.of(replicas) == expected


def test_on_own_nodes_one_instance_may_be_missing_during_an_update() -> None:
    assert parsed(metadata={"resource": "eas-r-1"}).headroom.of(10) == (1, 1)
    assert parsed(metadata={"resource": ""}).headroom.of(10) == (1, 0)


def test_with_the_elastic_pool_no_instance_may_be_missing_during_an_update() -> None:
    burstable = {"resource": "eas-r-1", "resource_burstable": True}
    computing = {"computing": {"instance_type": "ecs.c7.large"}}

    assert parsed(metadata=burstable, cloud=computing).headroom.of(10) == (1, 0)


def test_in_a_quota_two_percent_may_be_missing_and_at_least_one() -> None:
    spec = parsed(metadata={"quota_id": "q-1"})

    assert (spec.headroom.of(10), spec.headroom.of(200)) == ((1, 1), (4, 4))


def test_the_elastic_pool_names_own_nodes_and_rented_ones() -> None:
    computing = {"computing": {"instance_type": "ecs.c7.large"}}

    spec = parsed(metadata={"resource": "eas-r-1", "resource_burstable": True}, cloud=computing)

    assert spec.metadata.resource_burstable


def test_unknown_keys_stay_where_they_were_and_are_reported() -> None:
    spec = parsed(colour="red", metadata={"mood": {"today": [1, None]}}, **{"a.b": 1})

    dumped = dump_service(spec)

    assert dumped["colour"] == "red"
    assert dumped["a.b"] == 1
    assert dumped["metadata"] == {"name": "quick_start", "mood": {"today": [1, None]}}
    assert noticed(colour="red") == ["colour: unknown key, kept and ignored"]


@pytest.mark.parametrize(
    ("keys", "path", "meant"),
    [
        ({"metadata": {"min_replica": 1}}, "metadata.min_replica", "autoscaler.min"),
        ({"autoscaler": {"min_replica": 1}}, "autoscaler.min_replica", "autoscaler.min"),
        ({"autoscaler": {"max_replicas": 1}}, "autoscaler.max_replicas", "autoscaler.max"),
        (
            {"autoscaler": {"scale_strategies": []}},
            "autoscaler.scale_strategies",
            "autoscaler.scaleStrategies",
        ),
        ({"metadata": {"keep_alive": 1}}, "metadata.keep_alive", "metadata.rpc.keepalive"),
        ({"metadata": {"memroy": 1}}, "metadata.memroy", "metadata.memory"),
        ({"metadata": {"replicas": 1}}, "metadata.replicas", "metadata.instance"),
        ({"docker_auth": "x"}, "docker_auth", "dockerAuth"),
    ],
)
def test_an_unknown_key_that_looks_like_a_known_one_is_answered_with_it(
    keys: dict[str, object], path: str, meant: str
) -> None:
    assert noticed(**keys) == [f"{path}: unknown key, kept and ignored; did you mean {meant}?"]


def test_a_suggestion_in_an_array_names_the_entry() -> None:
    strategy = {"metricName": "qps", "threshold": 10, "metric_name": "qps"}
    mount = {"mount_path": "/mnt/data", "oss": {"path": "oss://b/p/", "read_only": True}}

    notices = noticed(autoscaler={"scaleStrategies": [strategy]}, storage=[mount])

    assert [notice.partition("did you mean ")[2] for notice in notices] == [
        "storage[0].oss.readOnly?",
        "autoscaler.scaleStrategies[0].metricName?",
    ]


def test_values_that_nothing_reads_are_reported() -> None:
    assert noticed(metadata={"type": "Fancy"}) == [
        "metadata.type: unknown type 'Fancy', kept and treated as Standard"
    ]
    assert noticed(metadata={"gpu": 1, "gpu_memory": 4}) == [
        "metadata.gpu_memory: ignored, since metadata.gpu asks for whole cards"
    ]
    assert noticed(features={"eas.aliyun.com/turbo": "true"}) == [
        'features["eas.aliyun.com/turbo"]: unknown switch, kept and ignored'
    ]


def test_keys_named_like_parts_of_a_python_object_are_ordinary_unknown_keys() -> None:
    odd = {"__class__": 1, "model_fields_set": [2], "to_json": 3, "model_settings": 4, "__dict__": {}}

    spec = parsed(**odd)

    assert {key: dump_service(spec)[key] for key in odd} == odd
    assert spec.model_settings is None


def test_changing_a_dump_leaves_the_spec_alone() -> None:
    spec = parsed(properties={"route": {"policy": "prefix"}})

    dump_service(spec)["properties"]["route"]["policy"] = "random"  # type: ignore[index]

    assert spec.properties == {"route": {"policy": "prefix"}}


def test_a_notice_reads_as_path_and_message() -> None:
    assert str(Notice("metadata.x", "unknown key")) == "metadata.x: unknown key"


@pytest.mark.parametrize("name", ["rate_limit", "concurrency_limit"])
def test_a_limit_is_an_object_and_has_to_be_switched_on(name: str) -> None:
    def policy(limit: object) -> dict[str, object]:
        return {"gateway_policy": {name: limit}}

    with pytest.raises(InvalidSpec) as refused:
        noticed(networking=policy(5))
    expected = 'got 5, expected an object, {"enable": true, "limit": N}'
    assert str(refused.value) == f"networking.gateway_policy.{name}: {expected}"
    (notice,) = noticed(networking=policy({"limit": 1}))
    assert notice.endswith('nothing is limited, since "enable": true is missing')
    assert not noticed(networking=policy({"enable": False, "limit": 1}))
    assert not noticed(networking=policy({"enable": True, "limit": 1}))
