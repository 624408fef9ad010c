"""What is said of the mounts of a service."""

from typing import Any

import pytest

from cli.mounts import mounts


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ({"oss": {"path": "oss://m/llm/"}}, "oss://m/llm/"),
        ({"oss": {"path": "oss://m/llm/", "readOnly": True}}, "oss://m/llm/, read-only"),
        ({"dataset": {"id": "faces", "version": "2"}}, "dataset faces, version 2, read-only"),
        ({"dataset": {"id": "faces", "read_only": False}}, "dataset faces, the newest version"),
        ({"image": {"image": "files:1", "path": "/srv"}}, "image files:1, /srv, read-only"),
        ({"git": {"repo": "https://g/x.git"}}, "git https://g/x.git, branch master, read-only"),
        ({"git": {"repo": "r", "branch": "b", "commit": "c0ffee"}}, "git r, commit c0ffee, read-only"),
        ({"nfs": {"server": "n1", "path": "/a", "readOnly": True}}, "nfs n1:/a, read-only"),
        ({"nfs": {"server": "n1"}}, "nfs n1:/"),
        ({"host_path": {"path": "/srv/a"}}, "host path /srv/a"),
        ({"empty_dir": {}}, "a directory of the instance"),
        ({"empty_dir": {"medium": "memory", "size_limit": 2}}, "memory, at most 2 GiB"),
    ],
)
def test_each_kind_of_source_is_named(source: dict[str, Any], told: str) -> None:
    assert mounts([{"mount_path": "/mnt/a", "properties": {"resource_type": "code"}, **source}]) == [
        f"/mnt/a from {told}"
    ]


def test_what_is_no_mount_is_left_out() -> None:
    assert mounts(None) == []
    assert mounts([{"mount_path": "/a"}, {"oss": {}}, "odd"]) == ["/a"]
