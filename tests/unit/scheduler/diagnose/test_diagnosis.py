"""What is wrong, in sentences: each case with its cause, how much it matters, and what to do."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from libs.db.changes import Changes
from libs.domain.assets import Secret
from libs.domain.causes import ADVICE, Cause
from libs.domain.progress import Progress
from libs.domain.records import Gpu, GpuFence, Instance, Node, Rollout, Service, ServiceVersion
from libs.domain.scaling import Autoscaler, Cronscaler
from libs.domain.states import InstanceState, NodeState, RolloutPhase, SafetyLock
from libs.domain.traffic import SHARED_GATEWAY
from services.scheduler.diagnose.asking import last_lines
from services.scheduler.diagnose.diagnosis import diagnose_instance, diagnose_service, wants_log
from services.scheduler.diagnose.finding import Finding, Severity, finding, in_order
from services.scheduler.diagnose.picture import Picture
from services.scheduler.gateways.standing import Standing
from services.scheduler.live import NOTHING, Now
from services.scheduler.world import World
from tests.support.builders import (
    NOON,
    a_node,
    a_ready_instance,
    a_service,
    a_spec,
    a_version,
    a_world,
    an_instance,
    at,
)

ERROR, WARNING, NOTE = Severity.ERROR, Severity.WARNING, Severity.NOTE


def a_picture(
    world: World, live: Mapping[str, Now] | None = None, lagging: tuple[str, ...] = (), **changes: Any
) -> Picture:
    """Everything around is well, unless a test says otherwise."""
    usual = Picture(
        world=world,
        live=lambda instance: (live or {}).get(instance, NOTHING),
        lagging=lambda _: lagging,
        linked=frozenset(world.nodes),
        gateway=lambda name: Standing(name == SHARED_GATEWAY, 1, ""),
        brake="",
        autoscaler_away_since=None,
        delete_idle_after=timedelta(days=180),
        now=at(60),
    )
    return replace(usual, **changes)


def found(
    *records: Service | ServiceVersion | Instance | Node, others: tuple[Any, ...] = (), **changes: Any
) -> list[Finding]:
    """The diagnosis of the service in a world of these records; the usual ones are there anyway."""
    usual = {type(each): each for each in (a_service(), a_version(), a_node())}
    kinds = {type(record) for record in records}
    world = a_world(*(each for kind, each in usual.items() if kind not in kinds), *records)
    world.apply(Changes(put=others))
    return diagnose_service(a_picture(world, **changes), world.service("digits"))


def told(findings: list[Finding]) -> list[tuple[Severity, str]]:
    return [(each.severity, each.cause) for each in findings]


def only(findings: list[Finding], cause: str) -> Finding:
    (each,) = [each for each in findings if each.cause == cause]
    return each


def test_of_a_service_that_does_its_work_there_is_nothing_to_say() -> None:
    assert found(a_ready_instance()) == []


@pytest.mark.parametrize("cause", [cause for cause in Cause if cause.name not in ("NO_ROOM",)])
def test_a_cause_that_an_agent_names_is_told_with_its_sentence_and_with_advice(cause: Cause) -> None:
    sick = an_instance(
        state=InstanceState.CRASH_LOOP_BACK_OFF, node="n1", cause=cause.value, why="it says so"
    )

    findings = found(sick)

    told_of = [each for each in findings if each.subject == "digits-a"]
    assert (told_of[0].severity, told_of[0].cause) == (ERROR, cause.value)
    assert told_of[0].what == "digits-a is CrashLoopBackOff: it says so"
    assert told_of[0].advice == ADVICE[cause]


def test_every_cause_has_advice() -> None:
    assert set(ADVICE) == set(Cause)


def test_a_cause_of_a_newer_agent_is_told_without_advice() -> None:
    sick = an_instance(state=InstanceState.FAILED, node="n1", cause="TooManyCats", why="cats")

    assert only(found(sick), "TooManyCats").advice == ""


def test_a_crash_loop_says_how_the_last_run_ended_and_how_often_it_was_restarted() -> None:
    sick = an_instance(
        state=InstanceState.CRASH_LOOP_BACK_OFF,
        node="n1",
        cause=Cause.EXITED.value,
        why="waits before it is started again",
        last_exit="exited with code 3",
        restarts=7,
    )

    assert only(found(sick), "Exited").what == (
        "digits-a is CrashLoopBackOff: waits before it is started again "
        "(last run: exited with code 3); restarted 7 times"
    )


@pytest.mark.parametrize(
    ("state", "cause"),
    [
        (InstanceState.CRASH_LOOP_BACK_OFF, Cause.EXITED),
        (InstanceState.IMAGE_PULL_BACK_OFF, Cause.PULL_FAILED),
        (InstanceState.FAILED, Cause.START_FAILED),
    ],
)
def test_trouble_without_a_word_of_its_cause_is_told_by_its_state(state: InstanceState, cause: Cause) -> None:
    findings = found(an_instance(state=state, node="n1"))

    assert told(findings)[-1] == (ERROR, cause.value) or (ERROR, cause.value) in told(findings)


def test_the_further_lines_of_a_reason_are_its_evidence() -> None:
    sick = an_instance(
        state=InstanceState.PREPARING,
        node="n1",
        cause=Cause.REQUIREMENTS_FAILED.value,
        why="the installer ended with code 1\nERROR: no matching distribution\n",
    )

    one = only(found(sick), "RequirementsFailed")

    assert one.what == "digits-a is Preparing: the installer ended with code 1"
    assert one.evidence == ("ERROR: no matching distribution",)


def test_a_program_that_only_does_not_listen_yet_is_a_warning() -> None:
    young = an_instance(state=InstanceState.STARTING, node="n1", cause="NotListening", why="no port yet")

    assert only(found(young), "NotListening").severity is WARNING


def test_an_instance_that_waits_for_a_place_says_what_every_group_of_nodes_lacks() -> None:
    waiting = an_instance(why="no node fits: public: 1 node: 1 lacks 2 GPUs (most free 0)")

    one = only(found(waiting), "NoRoom")

    assert one.severity is ERROR
    assert (
        one.what == "digits-a waits for a place: no node fits: public: 1 node: 1 lacks 2 GPUs (most free 0)"
    )


def test_what_is_transferred_is_said_with_its_rate_and_how_long_it_takes() -> None:
    pulling = an_instance(state=InstanceState.PULLING, node="n1")
    progress = Progress("image a:1", 1 << 30, 4 << 30, 100 << 20)

    one = only(found(pulling, live={"digits-a": Now("n1", 1, progress)}), "Starting")

    assert one.severity is NOTE
    assert one.what == (
        "digits-a is not ready yet: Pulling, for 1 min since it was made: "
        "image a:1: 1 GiB of 4 GiB, 100 MiB/s, about 31 s left"
    )


def test_warming_up_is_said() -> None:
    warm = an_instance(state=InstanceState.WARMING_UP, node="n1", why="pass 2 of 5")

    assert "WarmingUp" in only(found(warm), "Starting").what


def test_a_restarted_instance_that_is_ready_again_says_why_it_ended() -> None:
    again = a_ready_instance(restarts=2, last_exit="out of memory")

    assert told(found(again)) == [(NOTE, "Restarted")]
    assert "the run before ended: out of memory" in found(again)[0].what


def a_leaving_instance(**changes: Any) -> Instance:
    leaving = {"state": InstanceState.TERMINATING, "ready": False, "drain_started_at": at(30)}
    return a_ready_instance("digits-old", **{**leaving, **changes})


def test_a_draining_instance_says_how_many_connections_it_waits_for_and_how_long() -> None:
    leaving = a_leaving_instance(stopping=True, why="a new version is ready")

    findings = found(a_ready_instance(), leaving, live={"digits-old": Now("n1", 1, connections=3)})

    assert told(findings) == [(NOTE, "Draining")]
    assert findings[0].what == (
        "digits-old is being stopped (a new version is ready), for 30 s so far; 3 connections open still"
    )


def test_a_gateway_that_does_not_answer_is_named() -> None:
    findings = found(a_ready_instance(), a_leaving_instance(), lagging=("gateway g1",))

    assert told(findings) == [(WARNING, "GatewaySilent")]
    assert findings[0].what == "digits-old waits for gateway g1 to route around it, for 30 s so far"


def test_no_gateway_at_all_is_an_error() -> None:
    (gone,) = found(a_ready_instance(), gateway=lambda name: Standing(False, 0, "nobody runs it"))

    assert (gone.severity, gone.cause) == (ERROR, "NoGateway")
    assert gone.what.endswith("and nothing new is reached; nobody runs it")


def test_a_gateway_without_an_envoy_and_one_that_is_troubled_are_named_with_what_they_say() -> None:
    taken = "port 18801 of 127.0.0.1 is taken by another program"

    (closed,) = found(a_ready_instance(), gateway=lambda name: Standing(True, 0, taken))
    (troubled,) = found(a_ready_instance(), gateway=lambda name: Standing(True, 1, taken))

    assert (closed.severity, closed.cause) == (ERROR, "NoGateway")
    assert closed.what == f"gateway 'gateway' has no Envoy, so that nobody reaches digits there: {taken}"
    assert (troubled.severity, troubled.cause) == (WARNING, "GatewayTroubled")
    assert taken in troubled.what


@pytest.mark.parametrize(
    ("node", "linked", "cause", "severity"),
    [
        ({"state": NodeState.SUSPECT}, True, "NodeSuspect", WARNING),
        ({}, False, "AgentAway", WARNING),
        ({"draining": True, "schedulable": False}, True, "NodeDraining", NOTE),
        ({"schedulable": False, "why": "new fans"}, True, "NodeCordoned", NOTE),
    ],
)
def test_what_is_wrong_with_the_node_is_told(
    node: dict[str, Any], linked: bool, cause: str, severity: Severity
) -> None:
    findings = found(a_ready_instance(), a_node(**node), linked=frozenset({"n1"} if linked else ()))

    assert told(findings) == [(severity, cause)]


def test_a_lost_node_is_told_with_what_was_on_it() -> None:
    lost = an_instance(state=InstanceState.LOST, node="n1", why="node n1 was given up on")

    findings = found(lost, a_node(state=NodeState.LOST, why="not heard of for 41 s"))

    assert [each.what for each in findings if each.cause == "NodeLost"] == [
        "digits-a was on a node that is lost: node n1 was given up on",
        "node n1 is lost: not heard of for 41 s",
    ]


def test_the_storm_brake_is_told() -> None:
    findings = found(a_ready_instance(), brake="3 of 4 nodes are silent at once")

    assert told(findings) == [(WARNING, "EvictionFrozen")]


def test_a_fenced_gpu_is_told_with_its_reason_for_as_long_as_it_is_fenced() -> None:
    node = a_node(gpus=(Gpu("GPU-0", 0, "H100", 81_920),))
    fence = GpuFence("n1", "GPU-0", "Xid79", "XID 79: it fell off the bus", NOON)
    user = a_ready_instance(gpu_uuids=("GPU-0",))

    assert told(found(user, node, others=(fence,))) == [(WARNING, "GpuFenced")]
    assert "XID 79: it fell off the bus" in found(user, node, others=(fence,))[0].what
    assert found(user, node, others=(replace(fence, lifted_at=at(1)),)) == []


def test_instances_that_were_set_aside_are_told() -> None:
    findings = found(
        a_ready_instance(),
        a_ready_instance("digits-i", isolated=True),
        a_ready_instance("digits-z", detached=True),
        a_service(wanted=2),
    )

    assert sorted(told(findings)) == [(NOTE, "Detached"), (NOTE, "Isolated"), (WARNING, "TooFew")]


def test_a_service_of_which_nothing_takes_requests_is_an_error() -> None:
    assert told(found(an_instance(state=InstanceState.STARTING, node="n1"))) == [
        (ERROR, "NothingReady"),
        (NOTE, "Starting"),
    ]


def test_a_service_that_is_scaled_to_nothing_says_so() -> None:
    assert told(found(a_service(wanted=0))) == [(WARNING, "ScaledToZero")]


def a_policy(least: int) -> Autoscaler:
    return Autoscaler("digits", json.dumps({"min": least}), NOON, NOON)


A_SCHEDULE = Cronscaler("digits", '{"ScaleJobs": []}', NOON, NOON)


def test_a_size_that_follows_nothing_since_the_autoscaler_is_away_is_warned_of() -> None:
    findings = found(a_ready_instance(), others=(a_policy(1), A_SCHEDULE), autoscaler_away_since=at(20))

    assert told(findings) == [(WARNING, "AutoscalerAway")]
    assert findings[0].what == (
        "the autoscaler is away since 2026-01-01 12:00:20 UTC, for 40 s: the size of digits does not follow "
        "its load and its schedule"
    )


def test_a_sleeping_service_that_nobody_wakes_is_an_error() -> None:
    findings = found(a_service(wanted=0), others=(a_policy(0),), autoscaler_away_since=at(20))

    assert told(findings) == [(ERROR, "AutoscalerAway")]
    assert findings[0].what.endswith("does not follow its load, and requests do not wake it")


@pytest.mark.parametrize(
    ("service", "policies"), [({}, ()), ({"stopped": True, "wanted": 0}, (a_policy(0), A_SCHEDULE))]
)
def test_a_service_that_does_not_need_the_autoscaler_does_not_miss_it(
    service: dict[str, Any], policies: tuple[Any, ...]
) -> None:
    findings = found(a_ready_instance(), a_service(**service), others=policies, autoscaler_away_since=NOON)

    assert "AutoscalerAway" not in [each.cause for each in findings]


def test_a_stopped_service_says_so_and_when_it_is_deleted() -> None:
    stopped = a_service(stopped=True, idle_since=at(60) - timedelta(days=175))

    findings = found(stopped)

    assert told(findings) == [(WARNING, "ServiceStopped"), (WARNING, "ServiceIdle")]
    assert "is deleted in 5 days unless it runs before" in findings[1].what


def test_a_service_that_is_deleted_later_than_the_first_warning_is_not_warned_of() -> None:
    findings = found(a_service(stopped=True, idle_since=at(0)))

    assert told(findings) == [(WARNING, "ServiceStopped")]


def test_a_lock_is_worth_a_note() -> None:
    locked = a_service(safety_lock=SafetyLock.DANGEROUS)

    assert told(found(a_ready_instance(), locked)) == [(NOTE, "ServiceLocked")]


def test_a_service_that_is_being_deleted_says_so_and_nothing_of_its_size() -> None:
    assert told(found(a_service(deleting=True))) == [(NOTE, "ServiceDeleting")]


def a_rollout(**changes: Any) -> Rollout:
    return replace(Rollout("digits", 2, 1, NOON, why="digits-new: exited with code 1"), **changes)


@pytest.mark.parametrize(
    ("rollout", "severity", "cause"),
    [
        (a_rollout(phase=RolloutPhase.PAUSED), ERROR, "RolloutPaused"),
        (a_rollout(phase=RolloutPhase.PAUSED, paused=True), NOTE, "RolloutPaused"),
        (a_rollout(phase=RolloutPhase.PAUSED, batch_size="1"), NOTE, "RolloutPaused"),
        (a_rollout(phase=RolloutPhase.FAILED), ERROR, "RolloutFailed"),
    ],
)
def test_an_update_that_does_not_go_on_says_by_which_instance(
    rollout: Rollout, severity: Severity, cause: str
) -> None:
    findings = found(
        a_service(version=2), a_version(), a_version(number=2), a_ready_instance(), others=(rollout,)
    )

    assert told(findings) == [(severity, cause)]
    assert "from version 1 to 2" in findings[0].what
    assert "digits-new: exited with code 1" in findings[0].what


def test_a_service_that_went_back_by_itself_says_so_until_the_next_update() -> None:
    back = Rollout("digits", 1, 2, NOON, phase=RolloutPhase.COMPLETED, finished_at=NOON)
    because = "version 2 failed: digits-x: exited with code 3"

    told_of = found(a_ready_instance(), others=(replace(back, because=because),))

    assert told(told_of) == [(WARNING, "RolledBack")]
    assert told_of[0].what == f"digits went back from version 2 to 1 by itself, because {because}"
    assert found(a_ready_instance(), others=(back,)) == []


def test_a_drain_that_finds_no_other_node_says_what_helps() -> None:
    drained = a_node(draining=True, schedulable=False)
    waiting = an_instance("digits-b", why="public: 1 node is drained")

    held_up = only(found(a_ready_instance(), waiting, drained), "DrainHeldUp")

    assert held_up.what == "node n1 is drained, and digits-b waits for a place elsewhere"
    assert "Add a node" in held_up.advice and "uncordon" in held_up.advice
    assert told(found(a_ready_instance(), drained)) == [(NOTE, "NodeDraining")]


def test_what_is_advised_where_a_source_has_nothing_fits_every_kind_of_source() -> None:
    advice = ADVICE[Cause.STORAGE_NOT_FOUND]

    assert all(word in advice for word in ("path", "image", "branch", "commit"))


def test_an_update_that_goes_on_is_no_finding() -> None:
    running = a_rollout(phase=RolloutPhase.RUNNING)
    versions = (a_service(version=2), a_version(), a_version(number=2))

    assert found(*versions, a_ready_instance(), others=(running,)) == []


@pytest.mark.parametrize(("keys", "lacks"), [(None, "is not there"), (("other",), "has no key 'key'")])
def test_a_secret_that_is_missing_is_named_with_the_place_that_refers_to_it(
    keys: tuple[str, ...] | None, lacks: str
) -> None:
    spec = a_spec()
    spec["containers"][0]["env"] = [{"name": "TOKEN", "value": "secret://vendor/key"}]
    secrets = (Secret("vendor", keys, "", NOON, NOON),) if keys else ()

    findings = found(a_version(spec=spec), a_ready_instance(), others=secrets)

    assert told(findings) == [(ERROR, "SecretMissing")]
    assert findings[0].what == (f"containers[0].env[0].value refers to secret 'vendor', which {lacks}")


def test_an_instance_is_diagnosed_alone_with_its_node() -> None:
    sick = an_instance(state=InstanceState.FAILED, node="n1", cause="CommandNotFound", why="no such file")
    world = a_world(a_service(), a_version(), a_node(schedulable=False), sick, a_ready_instance("digits-b"))

    assert told(diagnose_instance(a_picture(world), sick)) == [
        (ERROR, "CommandNotFound"),
        (NOTE, "NodeCordoned"),
    ]


def test_errors_come_first_and_what_many_say_is_said_of_a_few() -> None:
    notes = [finding(NOTE, "Starting", f"i-{n}", f"i-{n} starts") for n in range(9)]

    ordered = in_order([*notes, finding(ERROR, "Exited", "i-x", "i-x ended")])

    assert [each.cause for each in ordered] == ["Exited", *["Starting"] * 3]
    assert ordered[-1].what == "i-2 starts (and 6 more like this)"


def test_the_log_is_wanted_where_the_program_may_say_more() -> None:
    assert wants_log(finding(ERROR, Cause.EXITED, "i", "ended"))
    assert not wants_log(finding(ERROR, Cause.IMAGE_NOT_FOUND, "i", "no such image"))
    assert not wants_log(finding(NOTE, Cause.RESTARTED, "i", "restarted"))


def test_lines_that_are_shown_hide_the_values_of_secrets() -> None:
    lines = last_lines(b"one\n\nkey is s3cr3t-value\n", {"s3cr3t-value", "k"})

    assert lines == ("one", "key is ******")


def test_no_part_of_a_secret_with_many_lines_is_shown() -> None:
    key = "-----BEGIN KEY-----\nMIIEpAIBAAKC\nq0x93Hd8==\n-----END KEY-----\n"

    lines = last_lines(b"MIIEpAIBAAKC\n  q0x93Hd8==\n-----END KEY-----\ncannot read it\n", {key})

    assert lines == ("******", "  ******", "******", "cannot read it")


def test_only_the_last_lines_are_shown() -> None:
    lines = last_lines("\n".join(f"line {n}" for n in range(50)).encode(), set())

    assert lines == tuple(f"line {n}" for n in range(40, 50))
