"""What the storage of a node decides without touching anything."""

import json
from pathlib import Path
from typing import Any

import pytest

from easel.agent.v1 import agent_pb2 as pb
from libs.domain.causes import Cause
from services.agent.mounts import HostDirectories, Mount, MountKind, NotHere
from services.agent.storage.eviction import Kept, victims
from services.agent.storage.git import failure_of, with_login
from services.agent.storage.object_store import addressing_of, endpoint_of
from services.agent.storage.sources import GitSource, ImageSource, NfsSource, StoreSource
from services.agent.storage.working_copy import WriteBack, plan_write_back
from services.agent.wire import wanted_of
from services.agent.workload import Workload, spec_hash, workload_of

HOST = HostDirectories({"local": Path("/srv/local")}, (Path("/srv/allowed"),), Path("/own"))
KEYS = {"access_key_id": "id", "secret_access_key": "word", "endpoint": "http://store:9000"}


def an_assignment(secrets: dict[str, str], env: list[Any], **spec: Any) -> pb.Assignment:
    container = {"image": "app:1", "script": "python app.py", "port": 8000, "env": env}
    document = {"metadata": {"name": "digits", "instance": 1}, "containers": [container], **spec}
    return pb.Assignment(id="i-1", service="digits", spec_json=json.dumps(document), secrets=secrets)


def read(secrets: dict[str, str] | None = None, env: list[Any] | None = None, **spec: Any) -> Workload:
    return workload_of(an_assignment(secrets or {}, env or [], **spec), HOST)


def mounted(source: dict[str, Any], secrets: dict[str, str] | None = None) -> Mount:
    return read(secrets, storage=[{"mount_path": "/mnt/data", **source}]).mounts[0]


def refused(source: dict[str, Any], secrets: dict[str, str] | None = None) -> NotHere:
    with pytest.raises(NotHere) as caught:
        mounted(source, secrets)
    return caught.value


def a_secret(name: str, **keys: str) -> dict[str, str]:
    return {f"{name}/{key}": value for key, value in keys.items()}


def test_a_bucket_without_a_directory_is_one_of_the_store_that_its_secret_names() -> None:
    mount = mounted({"oss": {"path": "oss://models/v1/", "readOnly": True}}, a_secret("oss-models", **KEYS))

    origin = StoreSource("models", "v1", "http://store:9000", "", "", "id", "word")
    assert mount == Mount("/mnt/data", MountKind.BIND, "/own/i-1/0", read_only=True, origin=origin)


def test_a_directory_of_the_operator_counts_before_a_store() -> None:
    mount = mounted({"oss": {"path": "oss://local/v1/"}}, a_secret("oss-local", **KEYS))

    assert (mount.source, mount.within, mount.origin) == ("/srv/local/v1", "/srv/local", None)


@pytest.mark.parametrize(
    ("secrets", "endpoint"),
    [
        (
            a_secret("oss", endpoint="http://all") | a_secret("oss-models", endpoint="http://own"),
            "http://own",
        ),
        (a_secret("oss", endpoint="http://all"), "http://all"),
    ],
)
def test_the_secret_of_a_bucket_counts_before_the_one_of_all_buckets(
    secrets: dict[str, str], endpoint: str
) -> None:
    origin = mounted({"oss": {"path": "oss://models/v1/"}}, secrets).origin

    assert isinstance(origin, StoreSource)
    assert origin.endpoint == endpoint


def test_the_endpoint_of_the_document_counts_before_the_one_of_the_secret() -> None:
    oss = {"path": "oss://models/v1/", "endpoint": "http://other", "secret": "mine"}

    origin = mounted({"oss": oss}, a_secret("mine", **KEYS)).origin

    assert origin == StoreSource("models", "v1", "http://other", "", "", "id", "word")


def test_a_bucket_of_neither_is_refused_with_both_ways_to_give_it() -> None:
    why = refused({"oss": {"path": "oss://models/v1/"}})

    assert "--bucket models=DIR" in str(why)
    assert "easel secret set oss-models endpoint=" in str(why)


def test_a_bucket_whose_own_secret_is_missing_says_so() -> None:
    why = refused({"oss": {"path": "oss://models/v1/", "secret": "mine"}}, a_secret("oss", **KEYS))

    assert why.cause is Cause.SECRET_MISSING
    assert "easel secret set mine" in str(why)


def test_a_directory_of_the_host_is_below_an_allowed_root() -> None:
    mount = mounted({"host_path": {"path": "/srv/allowed/data", "readOnly": True}})

    assert mount == Mount("/mnt/data", MountKind.BIND, "/srv/allowed/data", True, within="/srv/allowed")


@pytest.mark.parametrize("path", ["/srv/allowed-not", "/etc", "/srv"])
def test_a_directory_of_the_host_outside_every_allowed_root_is_refused(path: str) -> None:
    why = str(refused({"host_path": {"path": path}}))

    assert why == (
        f"storage[0].host_path: {path} is below no directory that this node allows (allowed: /srv/allowed); "
        "its operator allows one with EASEL_AGENT_HOST_ROOTS"
    )


def test_repositories_exports_and_images_are_taken_over() -> None:
    git = {"repo": "https://example.com/a.git", "branch": "main", "commit": "abc123"}
    assert mounted({"git": git}).origin == GitSource("https://example.com/a.git", "main", "abc123")
    nfs = mounted({"nfs": {"server": "nas", "path": "/models", "readOnly": True, "options": "soft"}})
    assert (nfs.kind, nfs.read_only, nfs.origin) == (MountKind.NFS, True, NfsSource("nas", "/models", "soft"))
    image = mounted({"image": {"image": "models:1", "path": "/models"}})
    assert (image.kind, image.origin) == (MountKind.IMAGE, ImageSource("models:1", "/models"))


def test_secrets_stand_in_for_values_and_show_nowhere() -> None:
    secrets = {"db/password": "s3cret", "git/value": "w0rd", "registry/value": "YWRhOnMzY3JldA=="}
    git = {"repo": "https://example.com/a.git", "username": "ada", "password": "secret://git"}
    spec: dict[str, Any] = {
        "env": [{"name": "PASSWORD", "value": "secret://db/password"}],
        "dockerAuth": "secret://registry",
        "storage": [{"mount_path": "/mnt/code", "git": git}],
    }

    workload = read(secrets, **spec)

    assert workload.env == (("PASSWORD", "s3cret"),)
    assert workload.registry_login == ("ada", "s3cret")
    assert workload.mounts[0].origin == GitSource(git["repo"], "master", "", "ada", "w0rd")
    assert not [word for word in ("s3cret", "w0rd", "YWRh") if word in repr(workload)]


def test_the_value_of_a_secret_does_not_change_the_hash() -> None:
    env = [{"name": "PASSWORD", "value": "secret://db/password"}]
    before, after = (an_assignment({"db/password": word}, env) for word in ("old", "new"))

    assert spec_hash(before) == spec_hash(after)


def test_a_missing_secret_is_refused_with_its_name_and_cause() -> None:
    env = [{"name": "PASSWORD", "value": "secret://db/password"}]
    desired = pb.DesiredState(epoch=1, assignments=[an_assignment({}, env)])

    wanted = wanted_of(desired, HOST)["i-1"]

    assert wanted.cause is Cause.SECRET_MISSING
    assert wanted.refusal.startswith("containers[0].env.PASSWORD: secret://db/password is not there")


def test_a_login_that_is_no_login_is_refused_without_being_shown() -> None:
    with pytest.raises(NotHere, match="dockerAuth: the secret is not the base64 form") as caught:
        read({"registry/value": "n0t base64"}, dockerAuth="secret://registry")

    assert "n0t" not in str(caught.value)


@pytest.mark.parametrize(
    ("endpoint", "address", "style"),
    [
        ("http://127.0.0.1:9000/", "http://127.0.0.1:9000", "path"),
        ("minio.example.com", "https://minio.example.com", "path"),
        ("oss-cn-hangzhou.aliyuncs.com", "https://oss-cn-hangzhou.aliyuncs.com", "virtual"),
        ("", "", "virtual"),
    ],
)
def test_the_place_of_the_bucket_in_an_address_follows_the_endpoint(
    endpoint: str, address: str, style: str
) -> None:
    source = StoreSource("models", "v1", endpoint)

    assert (endpoint_of(source), addressing_of(source)) == (address, style)


def test_what_changed_is_uploaded_and_what_is_gone_is_deleted() -> None:
    stored = {"same": (1, 10), "changed": (1, 10), "gone": (1, 10)}
    found = {"same": (1, 10), "changed": (1, 20), "new": (2, 30)}

    assert plan_write_back(stored, found, None) == WriteBack(("changed", "new"), ("gone",))


def test_what_is_still_being_written_waits() -> None:
    due = plan_write_back({}, {"done": (1, 10), "under way": (1, 90)}, settled_before=50)

    assert due.upload == ("done",)


def test_what_was_used_longest_ago_goes_first_and_what_is_used_stays() -> None:
    kept = [Kept(Path(name), name, at) for name, at in (("new", 9.0), ("old", 1.0), ("used", 0.0))]

    assert [each.identity for each in victims(kept, {Path("used")})] == ["old", "new"]


def test_a_login_in_an_address_is_taken_out_of_it() -> None:
    source = with_login(GitSource("https://ada:a%40b@example.com:8443/a.git", "main"))

    assert source == GitSource("https://example.com:8443/a.git", "main", "", "ada", "a@b")


@pytest.mark.parametrize(
    ("said", "cause"),
    [
        ("fatal: Authentication failed for 'https://x/'", Cause.STORAGE_ACCESS_DENIED),
        ("remote: Repository not found.", Cause.STORAGE_NOT_FOUND),
        ("fatal: unable to access 'https://x/': Could not resolve host: x", Cause.STORAGE_UNREACHABLE),
        ("fatal: write error: No space left on device", Cause.NO_SPACE),
        ("fatal: something new", Cause.PREPARE_FAILED),
    ],
)
def test_what_git_says_has_a_cause(said: str, cause: Cause) -> None:
    assert failure_of(GitSource("https://x/", "main"), said).cause is cause
