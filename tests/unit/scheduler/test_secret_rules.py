"""What is sealed, who may open it, and what of it instances are handed."""

from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet

from libs.db.changes import Changes, Contents
from libs.domain.assets import ImagePull, Secret
from libs.domain.errors import FailedPrecondition, InvalidSpec
from libs.spec import parse_service
from services.scheduler import datasets
from services.scheduler.agents.desired import desired_state
from services.scheduler.secrets import rules
from services.scheduler.secrets.keys import read_keys
from services.scheduler.secrets.seal import Seal
from services.scheduler.secrets.vault import LOGIN, Vault, login_of, pull_owner
from services.scheduler.secrets.wants import handed_out, refuse_missing, wants, wants_of
from services.scheduler.world import World
from tests.support.builders import NOON, a_node, a_service, a_spec, a_version, a_world, an_instance, at

OLD, NEW = (Fernet.generate_key().decode() for _ in range(2))


def a_vault(*keys: str, world: World | None = None) -> Vault:
    return Vault(world if world is not None else World(Contents()), Seal(keys or (OLD,)))


def with_secrets(vault: Vault, world: World, **secrets: dict[str, str]) -> World:
    world.apply(
        Changes(
            put=tuple(
                Secret(name, tuple(sorted(values)), vault.seal.closed(name, values), NOON, NOON, revision=1)
                for name, values in secrets.items()
            )
        )
    )
    return world


def a_service_that_refers(reference: str = "secret://hub/token", **service: Any) -> World:
    spec = a_spec()
    spec["containers"][0]["env"] = [{"name": "TOKEN", "value": reference}]
    return a_world(a_service(**service), a_version(spec=spec), a_node(), an_instance(node="n1", epoch=1))


def test_what_one_key_sealed_another_does_not_open() -> None:
    sealed = Seal((OLD,)).closed("hub", {"token": "value"})

    assert Seal((OLD,)).opened("hub", sealed) == {"token": "value"}
    assert Seal((NEW, OLD)).opened("hub", sealed) == {"token": "value"}
    assert Seal((NEW,)).opened("hub", sealed) is None
    assert Seal(()).opened("hub", sealed) is None


def test_what_is_sealed_for_one_is_not_opened_for_another() -> None:
    sealed = Seal((OLD,)).closed("hub", {"token": "value"})

    assert Seal((OLD,)).opened("other", sealed) is None


@pytest.mark.parametrize("sealed", ["", "no token at all", "gAAAAA"])
def test_what_is_broken_is_not_opened(sealed: str) -> None:
    assert Seal((OLD,)).opened("hub", sealed) is None
    assert not Seal((OLD,)).is_newest(sealed)


def test_a_missing_or_empty_key_file_is_made_and_read_again(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.touch()

    made = read_keys(file, "")

    assert len(made) == 1
    assert read_keys(file, "") == made
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_line_that_is_no_key_is_left_out(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text(f"{NEW}\nnot-a-key\n{OLD}\n")

    assert read_keys(file, "") == (NEW, OLD)
    assert read_keys(file, f"{OLD} , x") == (OLD,)


def test_a_key_file_that_cannot_be_used_leaves_the_scheduler_without_keys(tmp_path: Path) -> None:
    assert read_keys(tmp_path, "") == ()


def test_rotation_seals_anew_what_can_be_opened_and_leaves_the_rest() -> None:
    world = with_secrets(a_vault(OLD), a_world(), hub={"token": "value"})
    with_secrets(a_vault(Fernet.generate_key().decode()), world, lost={"token": "value"})
    old_pull = a_vault(OLD).seal.closed(pull_owner("pull-1"), {LOGIN: "dXNlcjpwYXNz"})
    pull = ImagePull("pull-1", "model:1", "public", NOON, old_pull, revision=1)
    world.apply(Changes(put=(pull,)))
    vault = a_vault(NEW, OLD, world=world)

    done = rules.resealed(world, vault, at(1))

    world.apply(done)
    assert [event.subject for event in done.events] == ["hub"]
    assert rules.unreadable(world, a_vault(NEW, world=world)) == ["lost"]
    assert a_vault(NEW, world=world).login(world.image_pulls["pull-1"]) == ("user", "pass")
    assert not rules.resealed(world, a_vault(NEW, OLD, world=world), at(2))


def test_setting_what_is_set_already_changes_nothing() -> None:
    world = with_secrets(a_vault(), a_world(), hub={"a": "1"})
    vault = a_vault(world=world)

    assert not rules.put(world, vault, "hub", {"a": "1"}, False, at(1))
    assert not rules.put(world, vault, "hub", {"gone": ""}, False, at(1))


def test_events_name_keys_and_never_values() -> None:
    world = with_secrets(a_vault(), a_world(), hub={"a": "hidden-1", "b": "hidden-2"})

    changes = rules.put(world, a_vault(world=world), "hub", {"a": "hidden-3", "b": ""}, False, at(1))

    assert [event.why for event in changes.events] == ["set key a, removed key b"]


def test_a_secret_is_used_by_the_version_that_instances_still_run() -> None:
    world = with_secrets(a_vault(), a_service_that_refers(version=2), hub={"token": "value"})
    world.apply(Changes(put=(a_version(number=2),)))

    with pytest.raises(FailedPrecondition, match="used by digits"):
        rules.deleted(world, "hub", at(1))
    world.apply(Changes(delete=tuple(world.instances.values())))
    assert rules.deleted(world, "hub", at(1)).delete == (world.secrets["hub"],)


def test_a_version_that_cannot_be_read_any_more_hides_no_secret_and_no_dataset() -> None:
    odd = {**a_spec("odd", cpu="many"), "storage": [{"dataset": {"id": "d"}}], "token": "secret://hub/token"}
    world = a_service_that_refers()
    world.apply(Changes(put=(a_service("odd"), a_version("odd", spec=odd))))

    assert rules.users_of(world) == {("hub", "token"): {"digits"}}
    assert datasets.users_of(world) == {}


def test_what_cannot_be_opened_is_left_out_of_the_order() -> None:
    world = with_secrets(a_vault(OLD), a_service_that_refers(), hub={"token": "value"})

    def told(vault: Vault) -> list[dict[str, str]]:
        return [dict(each.secrets) for each in desired_state(world, "n1", 1, vault).assignments]

    assert told(a_vault(OLD, world=world)) == [{"hub/token": "value"}]
    assert told(a_vault(NEW, world=world)) == [{}]


def test_of_the_secrets_that_may_open_a_bucket_the_first_that_exists_counts() -> None:
    spec = a_spec() | {"storage": [{"mount_path": "/m", "oss": {"path": "oss://models/x"}}]}
    wanted = wants(parse_service(spec).spec)
    world = with_secrets(a_vault(), a_world(), oss={"region": "r"})
    vault = a_vault(world=world)

    assert handed_out(wanted, world.secrets, vault) == {"oss/region": "r"}
    with_secrets(vault, world, **{"oss-models": {"endpoint": "e"}})
    assert handed_out(wanted, world.secrets, vault) == {"oss-models/endpoint": "e"}
    refuse_missing(wanted, {})


def test_a_document_without_references_and_buckets_wants_nothing() -> None:
    version = a_version()

    assert wants_of(version.spec_json) == wants(parse_service(version.spec_json).spec)


def test_a_reference_to_a_key_that_is_not_there_is_refused_at_its_path() -> None:
    world = with_secrets(a_vault(), a_service_that_refers("secret://hub"), hub={"token": "value"})
    wanted = wants_of(world.version("digits", 1).spec_json)

    with pytest.raises(InvalidSpec) as refused:
        refuse_missing(wanted, world.secrets)

    assert (refused.value.path, refused.value.value) == ("containers[0].env[0].value", "secret://hub/value")


@pytest.mark.parametrize("text", ["", "hunter2", "dXNlcg==", "OnBhc3M=", "a:b"])
def test_what_is_no_login_is_none(text: str) -> None:
    assert login_of(text) is None
