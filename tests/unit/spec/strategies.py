"""Documents for property tests: arbitrary JSON, service.json-like objects, and good services."""

from typing import Any

from hypothesis import strategies as st

from libs.spec.shape import Kind, Node, paths, root

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=12)
    | st.sampled_from(["true", "false", "4", "40Gi", "20%", "oss://b/p/", "/mnt/data", "name_of_it"])
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
_DOTTED = sorted(path for path, _ in paths(root()) if "[]" not in path)
_FEW = st.integers(1, 9)
_WORD = st.from_regex(r"[a-z]{3,8}", fullmatch=True)
_PROBE: st.SearchStrategy[dict[str, Any]] = st.sampled_from(["http_get", "tcp_socket"]).map(
    lambda handler: {handler: {}}
)


def shaped(node: Node, depth: int = 3) -> st.SearchStrategy[Any]:
    """Objects with known keys and now and then an unknown one, whose values are mostly wrong."""
    if depth == 0 or node.kind in (Kind.SCALAR, Kind.FREE):
        return JSON
    known = {key: shaped(child, depth - 1) | JSON for key, child in node.keys.items()}
    chosen = st.lists(st.sampled_from(sorted(known)), max_size=4, unique=True).flatmap(
        lambda keys: st.fixed_dictionaries({key: known[key] for key in keys})
    )
    inner = st.tuples(chosen, st.dictionaries(st.text(max_size=8), JSON, max_size=1)).map(
        lambda pair: {**pair[1], **pair[0]}
    )
    return st.lists(inner, max_size=2) if node.kind is Kind.ARRAY and depth < 3 else inner


SHAPED = st.tuples(shaped(root()), st.dictionaries(st.sampled_from(_DOTTED), JSON, max_size=2)).map(
    lambda pair: {**pair[0], **pair[1]}
)


_KEPT_TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=8)
_KEPT = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 1 << 40) | st.floats(-9, 9) | _KEPT_TEXT,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(_KEPT_TEXT, inner, max_size=2),
    max_leaves=4,
)
_UNKNOWN = st.dictionaries(st.text("xyz.", min_size=1, max_size=4), _KEPT, max_size=2)
_FLAG = st.sampled_from([True, False, "true", "False"])
_SIZE = st.sampled_from([1, "2", "512Mi", "40Gi", "1.5G", 0.5])
_SHARE = st.sampled_from([1, "2", "20%"])


def _some(**keys: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """An object with any of the keys, and now and then an unknown one."""
    known = st.fixed_dictionaries({}, optional=keys)
    return st.tuples(known, _UNKNOWN).map(lambda pair: {**pair[1], **pair[0]})


def _named(
    required: dict[str, st.SearchStrategy[Any]], **keys: st.SearchStrategy[Any]
) -> st.SearchStrategy[dict[str, Any]]:
    return st.tuples(_some(**keys), st.fixed_dictionaries(required)).map(lambda pair: {**pair[0], **pair[1]})


_METADATA = _some(
    instance=_FEW,
    cpu=st.sampled_from([1, "0.5", "500m", 2.0]),
    memory=_SIZE,
    gpu=_FEW,
    disk=_SIZE,
    shm_size=st.sampled_from([1, "64Gi"]),
    enable_grpc=_FLAG,
    workspace_id=_WORD | _FEW,
    resource=_WORD | st.just(""),
    rpc=_some(keepalive=_FEW, batching=_FLAG, enable_jemalloc=st.sampled_from([0, 1, "true"])),
    rolling_strategy=_some(max_surge=_SHARE, max_unavailable=_SHARE),
    eas=_some(termination_grace_period=_FEW),
    **{"rpc.rate_limit": _FEW, "scheduling.spread.policy": st.just("Host")},
)
_CONTAINER = _named(
    {"image": _WORD},
    script=_WORD,
    port=_FEW,
    env=st.lists(_named({"name": _WORD}, value=_FEW | _FLAG | _WORD), max_size=2),
    prepare=_some(pythonRequirements=st.lists(_WORD, max_size=2)),
    liveness_check=_PROBE,
    resources=_some(cpu=_FEW),
)
_SOURCE: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
    [
        {"oss": {"path": "oss://b/p/", "readOnly": "true"}},
        {"empty_dir": {"size_limit": 2}},
        {"image": {"image": "app:1", "a": [1]}},
    ]
)
# Names that are nearly a known one are refused.
_METRIC = st.sampled_from(
    ["qps", "cpu", "rt[p99]", "custom[depth]", "custom[depth]@queue[a]"]
) | st.from_regex(r"zzz[a-z]{1,5}", fullmatch=True)
_AUTOSCALER = _some(
    min=st.integers(0, 3),
    max=st.integers(3, 9),
    strategies=st.dictionaries(_METRIC, _FEW | st.just("1.5"), max_size=2),
    scaleStrategies=st.lists(_named({"metricName": _METRIC, "threshold": _FEW}), max_size=2),
    behavior=_some(onZero=_some(scaleDownGracePeriodSeconds=_FEW)),
)

GOOD_SERVICES = _named(
    {
        "name": st.from_regex(r"[a-z0-9_]{3,9}", fullmatch=True),
        "containers": st.lists(_CONTAINER, min_size=1, max_size=1),
    },
    metadata=_METADATA,
    autoscaler=_AUTOSCALER | st.none(),
    generate_token=_FLAG,
    storage=_SOURCE.map(lambda source: [{"mount_path": "/mnt/data", **source}]),
    labels=st.dictionaries(_KEPT_TEXT, _WORD | _FEW, max_size=2),
    properties=st.dictionaries(_WORD, _KEPT, max_size=2),
    model_config=_WORD | st.dictionaries(_WORD, _KEPT, max_size=2),
    aimaster=st.dictionaries(_WORD, _KEPT, max_size=2),
    cloud=_some(
        computing=_some(
            instances=st.lists(_named({"type": st.just("dedicated_resource")}, capacity=_SHARE), max_size=2)
        )
    ),
    **{"unit.size": _FEW, "queue.cpu": _FEW, "metadata.enable_webservice": _FLAG | st.none()},
)
