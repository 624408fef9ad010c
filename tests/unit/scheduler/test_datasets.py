"""Datasets in the place of the mounts that name them."""

import json

import pytest

from libs.db.changes import Changes
from libs.domain.assets import Dataset
from libs.domain.errors import InvalidSpec
from services.scheduler.admin.specs import accept, updated
from services.scheduler.datasets import concrete
from services.scheduler.masking import masked
from tests.support.builders import NOON, a_spec, a_world, at


def a_dataset(version: str, second: float = 0, name: str = "faces", **source: object) -> Dataset:
    source = source or {"oss": {"path": f"oss://sets/{version}/"}}
    return Dataset(name, version, json.dumps(source), at(second), revision=1)


MOUNTING = a_spec() | {"storage": [{"mount_path": "/mnt/set", "dataset": {"id": "faces"}}]}


def test_the_newest_version_is_the_one_registered_last_whatever_its_name() -> None:
    world = a_world()
    world.apply(Changes(put=(a_dataset("2"), a_dataset("10", 1), a_dataset("spring", 2))))

    taken = accept(MOUNTING, world, NOON)

    assert json.loads(taken.spec_json)["storage"][0]["dataset"] == {"id": "faces", "version": "spring"}


def test_a_document_that_is_accepted_again_keeps_its_version() -> None:
    world = a_world()
    world.apply(Changes(put=(a_dataset("1"),)))
    first = accept(MOUNTING, world, NOON)
    world.apply(Changes(put=(a_dataset("2", 1),)))

    assert accept(first.spec_json, world, NOON).spec_json == first.spec_json


def test_a_document_is_resolved_once_and_one_without_datasets_never() -> None:
    world = a_world()
    world.apply(Changes(put=(a_dataset("1"),)))
    plain, mounting = accept(a_spec(), world, NOON).spec_json, accept(MOUNTING, world, NOON).spec_json

    assert concrete(world, plain) is plain
    assert concrete(world, mounting) is concrete(world, mounting)


def test_of_a_dataset_that_is_copied_for_each_instance_no_mount_is_made_read_only() -> None:
    world = a_world()
    world.apply(Changes(put=(a_dataset("1", git={"repo": "https://host/r.git"}),)))

    (mount,) = json.loads(concrete(world, accept(MOUNTING, world, NOON).spec_json))["storage"]

    assert mount == {"mount_path": "/mnt/set", "git": {"repo": "https://host/r.git"}}


def test_references_are_shown_and_what_is_no_whole_reference_is_hidden() -> None:
    shown = json.loads(
        masked(
            json.dumps(
                {
                    "dockerAuth": "secret://registry/login",
                    "token": "secret://looks/like-one",
                    "storage": [{"git": {"password": "secret://"}}],
                }
            )
        )
    )

    assert shown == {
        "dockerAuth": "secret://registry/login",
        "token": "********",
        "storage": [{"git": {"password": "********"}}],
    }


def test_a_shown_document_can_be_edited_and_sent_again() -> None:
    mounts = [
        {"mount_path": f"/mnt/{name}", "git": {"repo": f"https://git.example/{name}", "password": name}}
        for name in ("a", "b", "c")
    ]
    stored = json.dumps({**a_spec(), "storage": mounts})
    shown = json.loads(masked(stored))

    turned = updated(stored, json.dumps({"storage": shown["storage"][2:0:-1]}), replace=False)

    assert turned["storage"] == mounts[2:0:-1]


def test_a_hidden_value_that_was_never_stored_is_refused() -> None:
    mount = {"mount_path": "/mnt/a", "git": {"repo": "https://git.example/new", "password": "********"}}
    change = json.dumps({"storage": [mount]})

    with pytest.raises(InvalidSpec, match=r"^storage\[0\].git.password: got a hidden value"):
        accept(updated(json.dumps(a_spec()), change, replace=False), a_world(), NOON)
    with pytest.raises(InvalidSpec, match=r"^token: got a hidden value"):
        accept({**a_spec(), "token": "********"}, a_world(), NOON)
