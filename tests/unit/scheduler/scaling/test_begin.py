"""How policies come and go: with versions, by hand, and with the service."""

import json
from dataclasses import replace
from typing import Any

import pytest

from libs.db.changes import Changes
from libs.domain.errors import FailedPrecondition, NotFound
from libs.domain.records import Service
from libs.domain.scaling import Autoscaler, Cronscaler
from libs.domain.states import SafetyLock
from services.scheduler.admin.cloning import cloned
from services.scheduler.admin.specs import accept
from services.scheduler.scaling.begin import (
    remove_autoscaler,
    remove_cronscaler,
    set_autoscaler,
    set_cronscaler,
)
from services.scheduler.scaling.by_version import with_policies
from services.scheduler.scaling.policies import may_sleep
from services.scheduler.world import World
from tests.support.builders import NOON, a_service, a_spec, a_version, a_world, at

QPS = {"scaleStrategies": [{"metricName": "qps", "threshold": 10}]}
SCHEDULE = {"ScaleJobs": [{"Name": "day", "Schedule": "0 0 8 * * *", "TargetSize": 5}]}


def spec_with(**parts: Any) -> dict[str, Any]:
    return {**a_spec(), **parts}


def autoscaler(changes: Changes) -> Autoscaler | None:
    return next((each for each in changes.put if isinstance(each, Autoscaler)), None)


def wanted(changes: Changes) -> int | None:
    return next((each.wanted for each in changes.put if isinstance(each, Service)), None)


def a_policy(**document: Any) -> Autoscaler:
    return Autoscaler("digits", json.dumps({**QPS, **document}, sort_keys=True), NOON, NOON, revision=1)


def created(**parts: Any) -> Changes:
    version = a_version(spec=spec_with(**parts))
    return with_policies(a_world(), Changes(put=(a_service(), version)), at(1))


def updated(world: World, **parts: Any) -> Changes:
    """A second version comes in force."""
    service = replace(world.services["digits"], version=2)
    version = a_version(number=2, spec=spec_with(**parts))
    return with_policies(world, Changes(put=(service, version)), at(1))


def test_a_version_with_a_policy_that_cannot_be_read_any_more_can_be_gone_back_to() -> None:
    odd = a_version(spec=spec_with(autoscaler={"strategies": {"queue length": 5}}))
    now_in_force = a_version(number=2, spec=spec_with(autoscaler=QPS))
    world = a_world(a_service(version=2), odd, now_in_force, a_policy())

    changes = with_policies(world, Changes(put=(replace(world.services["digits"], version=1),)), at(1))

    assert [type(each) for each in (*changes.put, *changes.delete)] == [Service]
    (event,) = changes.events
    assert event.reason == "PolicyRefused"
    assert event.why.startswith("what it had before stays in force: autoscaler.strategies")


def test_a_new_service_brings_its_policies_along() -> None:
    changes = created(autoscaler=QPS, cronScaler=SCHEDULE)

    found = autoscaler(changes)
    assert found is not None
    assert json.loads(found.policy_json) == QPS
    (schedule,) = (each for each in changes.put if isinstance(each, Cronscaler))
    assert [(job.name, job.state) for job in schedule.jobs] == [("day", "Submitted")]


def test_a_service_without_policies_has_none() -> None:
    assert created() == Changes(put=(a_service(), a_version()))
    assert autoscaler(created(autoscaler={}, cronScaler={})) is None


def test_an_update_that_leaves_the_policy_out_of_it_leaves_what_was_set_since() -> None:
    world = a_world(a_service(), a_version(spec=spec_with(autoscaler=QPS)), a_policy(max=7))

    assert autoscaler(updated(world, autoscaler=QPS, token="another")) is None


def test_an_update_of_the_policy_takes_the_place_of_what_was_set_since() -> None:
    world = a_world(a_service(), a_version(spec=spec_with(autoscaler=QPS)), a_policy(max=7))

    changes = updated(world, autoscaler={**QPS, "min": 3})

    found = autoscaler(changes)
    assert found is not None
    assert (json.loads(found.policy_json), found.created_at) == ({**QPS, "min": 3}, NOON)
    assert wanted(changes) == 3


def test_an_update_without_the_policy_removes_it_and_wakes_who_sleeps() -> None:
    known = a_policy(min=0)
    before = a_version(spec=spec_with(autoscaler={**QPS, "min": 0}))
    world = a_world(a_service(wanted=0), before, known)

    changes = updated(world)

    assert changes.delete == (known,)
    assert wanted(changes) == 1


def test_policies_go_with_their_service() -> None:
    known, service = a_policy(), a_service()
    world = a_world(service, a_version(), known)

    assert with_policies(world, Changes(delete=(service,)), at(1)).delete == (service, known)


def test_a_copy_of_a_service_has_the_policies_in_force() -> None:
    world = a_world(a_service(), a_version(spec=spec_with(autoscaler=QPS)), a_policy(max=7))

    copy = cloned(world, "digits", "copied", "{}", NOON)

    assert json.loads(copy.spec_json)["autoscaler"] == {**QPS, "max": 7}


def test_setting_a_policy_brings_the_size_within_its_bounds_at_once() -> None:
    world = a_world(a_service(wanted=8), a_version())

    done = set_autoscaler(world, "digits", json.dumps({"max": 5, **QPS}), False, at(1))

    assert wanted(done.changes) == 5
    assert [event.reason for event in done.changes.events] == ["AutoscalerSet", "Scaled"]
    assert done.changes.events[1].details["policy"] == "user"


def test_setting_the_same_policy_again_changes_nothing() -> None:
    world = a_world(a_service(), a_version(), a_policy(max=7))

    assert not set_autoscaler(world, "digits", json.dumps({**QPS, "max": 7}), False, at(1)).changes


def test_a_policy_is_changed_by_members_when_it_is_merged() -> None:
    world = a_world(a_service(), a_version(), a_policy(max=7))

    found = autoscaler(set_autoscaler(world, "digits", '{"min": 2}', True, at(1)).changes)

    assert found is not None
    assert json.loads(found.policy_json) == {**QPS, "max": 7, "min": 2}


def test_the_author_of_a_policy_hears_its_warnings() -> None:
    world = a_world(a_service(), a_version())

    done = set_autoscaler(world, "digits", json.dumps({"min_replica": 2, **QPS}), False, at(1))

    assert done.warnings == (
        "autoscaler.min_replica: unknown key, kept and ignored; did you mean autoscaler.min?",
    )


def by(metric: str, **more: Any) -> dict[str, Any]:
    return {"scaleStrategies": [{"metricName": metric, "threshold": 10, **more}]}


def warnings(world: World, policy: dict[str, Any]) -> tuple[str, ...]:
    return set_autoscaler(world, "digits", json.dumps(policy), False, at(1)).warnings


def test_the_author_of_a_policy_hears_of_metrics_that_never_come() -> None:
    world = a_world(
        a_service(),
        a_version(spec=spec_with(metrics=[{"name": "depth", "tags": "queue"}])),
        a_service(name="front"),
        a_version(service="front", spec=a_spec(name="front")),
    )
    at_metric, at_service = (f"autoscaler.scaleStrategies[0].{key}" for key in ("metricName", "service"))

    assert warnings(world, by("custom[depth]@queue[a]")) == warnings(world, by("qps", service="front")) == ()
    assert warnings(world, by("custom[nope]")) == (
        f"{at_metric}: 'nope' is not among the `metrics` of 'digits', so nothing is scaled in",
    )
    assert warnings(world, by("custom[depth]@model[a]")) == (
        f"{at_metric}: 'model' is not among the `tags` of 'depth' in the `metrics` of 'digits', "
        "so nothing is scaled in",
    )
    assert warnings(world, {"strategies": {"gpu[util]": 50}}) == (
        "autoscaler.strategies[\"gpu[util]\"]: instances of 'digits' have no GPU, so nothing is scaled in",
    )
    assert warnings(world, by("gpu", service="front")) == (
        f"{at_metric}: instances of 'front' have no GPU, so nothing is scaled in",
    )
    assert warnings(world, by("qps", service="nosuch")) == (
        f"{at_service}: there is no service 'nosuch', and nothing is scaled in before there is one",
    )


def a_single(when: str) -> dict[str, Any]:
    return {"ScaleJobs": [{"Name": "once", "Schedule": f"@date {when}", "TargetSize": 5}]}


def test_the_author_of_a_schedule_hears_of_times_that_have_passed() -> None:
    world, past = a_world(a_service(), a_version()), json.dumps(a_single("2020-01-01 00:00:00"))
    sentence = "cronScaler.ScaleJobs[0].Schedule: no such time is to come, so the job 'once' never runs"

    done = set_cronscaler(world, "digits", past, at(1))

    assert done.warnings == (sentence,)
    assert not set_cronscaler(world, "digits", json.dumps(a_single("2090-01-01 00:00:00")), at(1)).warnings
    (record,) = (each for each in done.changes.put if isinstance(each, Cronscaler))
    ran = replace(record, jobs=tuple(replace(job, state="Succeed", last_run_ms=1) for job in record.jobs))
    world.apply(Changes(put=(ran,)))
    assert not set_cronscaler(world, "digits", past, at(2)).warnings


def test_a_service_json_is_warned_of_the_same() -> None:
    document = spec_with(
        autoscaler={"strategies": {"custom[nope]": 5}, **by("qps", service="nosuch")},
        cronScaler=a_single("2020-01-01 00:00:00"),
    )

    told = " ".join(accept(document, a_world(), at(1)).warnings)

    assert "'nope' is not among" in told
    assert "there is no service 'nosuch'" in told
    assert "no such time is to come" in told


def test_a_locked_service_keeps_its_policies() -> None:
    world = a_world(a_service(safety_lock=SafetyLock.ALL), a_version(), a_policy())

    for act in (
        lambda: set_autoscaler(world, "digits", "{}", False, NOON),
        lambda: remove_autoscaler(world, "digits", NOON),
        lambda: set_cronscaler(world, "digits", json.dumps(SCHEDULE), NOON),
    ):
        with pytest.raises(FailedPrecondition, match="is locked"):
            act()


def test_removing_the_policy_of_a_service_that_sleeps_wakes_it() -> None:
    world = a_world(a_service(wanted=0), a_version(), a_policy(min=0))

    changes = remove_autoscaler(world, "digits", at(1))

    assert wanted(changes) == 1
    assert [event.reason for event in changes.events] == ["AutoscalerRemoved", "Scaled"]


def test_what_slept_when_it_was_stopped_has_instances_when_it_is_started_without_its_policy() -> None:
    asleep = {"autoscaler": {**QPS, "min": 0}}
    world = a_world(a_service(wanted=0, stopped=True), a_version(spec=spec_with(**asleep)), a_policy(min=0))

    assert wanted(remove_autoscaler(world, "digits", at(1))) == 1
    assert wanted(updated(world)) == 1


def test_what_is_not_there_is_not_removed() -> None:
    world = a_world(a_service(), a_version())

    with pytest.raises(NotFound, match="has no autoscaler"):
        remove_autoscaler(world, "digits", NOON)
    with pytest.raises(NotFound, match="has no schedule"):
        remove_cronscaler(world, "digits", NOON)


def test_only_a_policy_with_a_least_of_zero_lets_a_service_sleep() -> None:
    assert may_sleep(a_world(a_service(), a_policy(min=0)), "digits")
    assert not may_sleep(a_world(a_service(), a_policy()), "digits")
    assert not may_sleep(a_world(a_service()), "digits")
