"""What the author of a document is told about features that are not carried out yet."""

from libs.spec import not_carried_out, parse_service
from libs.spec.gaps import GAPS
from libs.spec.shape import paths, root


def told(**keys: object) -> list[str]:
    document = {"name": "quick_start", "containers": [{"image": "app:1"}], **keys}
    return [str(notice) for notice in not_carried_out(parse_service(document).spec)]


def test_a_plain_service_is_carried_out_whole() -> None:
    assert (
        told(
            metadata={
                "instance": 2,
                "cpu": 1,
                "memory": 1024,
                "gpu": 1,
                "gpu_memory": 4,
                "disk": "40Gi",
                "shm_size": 2,
                "resource": "eas-r-1",
                "type": "Standard",
                "enable_grpc": True,
                "enable_webservice": True,
                "scheduling.spread.policy": "host",
                "rpc": {"keepalive": 9000, "proxy_path": "/", "enable_sigterm": True, "rate_limit": 5},
                "rolling_strategy": {"max_surge": 1, "max_unavailable": 0},
                "eas.termination_grace_period": 10,
                "workspace_id": 7,
            },
            storage=[
                {"mount_path": "/mnt/data", "oss": {"path": "oss://b/p/"}},
                {"mount_path": "/dev/shm", "empty_dir": {"medium": "memory", "size_limit": 2}},
            ],
            token="secret",
            labels={"team": "search"},
            dockerAuth="dXNlcjpwYXNz",
            features={},
            autoscaler={},
            networking={"gateway_policy": {"rate_limit": {"enable": True, "limit": 5}}},
        )
        == []
    )


def test_each_feature_that_is_not_carried_out_is_told_once_at_its_place() -> None:
    sentences = told(
        sinker={"type": "sls", "config": {"sls": {"project": "p", "logstore": "l"}}},
        storage=[
            {"mount_path": "/a", "empty_dir": {}},
            {"mount_path": "/b", "nfs": {"server": "nas", "resourceGroup": "g"}},
        ],
        features={"eas.aliyun.com/enable-properties": "true"},
        containers=[{"image": "app:1", "resources": {"requests": {"cpu": 1}}}],
        metadata={"gpu_memory": 4, "type": "Async"},
    )

    assert [sentence.partition(": ")[0] for sentence in sentences] == [
        "metadata.gpu_memory",
        "metadata.type",
        "containers[0].resources.requests",
        "storage[1].nfs.resourceGroup",
        "sinker",
        'features["eas.aliyun.com/enable-properties"]',
    ]


def test_every_gap_is_at_a_place_that_exists() -> None:
    known = {path for path, _ in paths(root())}

    places = {gap.path.partition("[")[0] if '["' in gap.path else gap.path for gap in GAPS}

    assert places <= known


def test_no_gap_is_listed_twice() -> None:
    assert len({gap.path for gap in GAPS}) == len(GAPS)
