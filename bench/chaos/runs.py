"""What is done to services while they are called, one function each. Each returns when Easel has settled."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count

import httpx

from bench.chaos.stages import CANARY, CRASHES, GROUP, SECOND_NODE, TOKEN, Stage, settle
from easel_sdk import Easel
from easel_sdk.types import RolloutPhase, Service

SERVICES = ("chaos_web", "chaos_rpc")
_RELEASES = count(2)


@dataclass(frozen=True)
class Run:
    """One thing that happens under load, which lasts `seconds`. `act` returns what was seen, in words."""

    name: str
    act: Callable[[Stage, Easel], str]
    seconds: float = 30.0


def settled(easel: Easel, instances: int = 4, version: int = 0) -> None:
    """Waits until both services run just so many instances of the version in force, and no other is left."""

    def quiet(name: str) -> bool:
        service: Service = easel.services.get(name)
        found = easel.instances.list(service=name)
        right = [i.ready and i.version == (version or service.version) for i in found]
        return service.state == "Running" and right == [True] * instances

    for name in SERVICES:
        settle(lambda name=name: quiet(name), f"{name} with {instances} instances")


def update(stage: Stage, easel: Easel) -> str:
    _begin_update(stage, easel)
    settled(easel)
    return f"4 instances of each service replaced, now version {easel.services.get(SERVICES[0]).version}"


def roll_back(stage: Stage, easel: Easel) -> str:
    older = easel.services.get(SERVICES[0]).version - 1
    for name in SERVICES:
        easel.services.roll_to(name, older)
    settled(easel, version=older)
    return f"4 instances of each service replaced, back at version {older}"


def scale(stage: Stage, easel: Easel) -> str:
    for size in (1, 4):
        for name in SERVICES:
            easel.services.scale(name, size)
        settled(easel, size)
    return "to 1 instance and back to 4"


def restart(stage: Stage, easel: Easel) -> str:
    for name in SERVICES:
        easel.services.restart(name)
    before = {i.id for name in SERVICES for i in easel.instances.list(service=name) if i.ready}
    settled(easel)
    after = {i.id for name in SERVICES for i in easel.instances.list(service=name)}
    return f"{len(after - before)} new instances"


def crash(stage: Stage, easel: Easel) -> str:
    """An update to a release that ends as soon as it is started, held up, and taken back by hand."""
    before = {name: easel.services.get(name).version for name in SERVICES}
    for name in SERVICES:
        easel.services.update(name, stage.spec(name, CRASHES, 4), replace=True)
    for name in SERVICES:
        settle(lambda name=name: _phase(easel, name) is RolloutPhase.FAILED, f"the update of {name} to fail")
    found = {finding.cause for name in SERVICES for finding in easel.services.diagnose(name)}
    for name, version in before.items():
        easel.services.roll_to(name, version)
    settled(easel)
    return (
        f"the update failed ({', '.join(sorted(found & {'Exited'}))}), no instance of the version before left"
    )


def by_hand(stage: Stage, easel: Easel) -> str:
    """What can be done to one instance, one after the other."""
    for name in SERVICES:
        one, two, three = (i.id for i in easel.instances.list(service=name)[:3])
        easel.instances.restart(one)
        settle(lambda one=one: easel.instances.get(one).run == 1, "the soft restart to begin")
        settle(lambda one=one: easel.instances.get(one).ready, "the restarted instance")
        easel.instances.isolate(two)
        easel.instances.isolate(two, isolated=False)
        easel.instances.delete(three)
    settled(easel)
    return "one instance of each started anew, one isolated and put back, one deleted and replaced"


def drain(stage: Stage, easel: Easel) -> str:
    moving = easel.nodes.drain(SECOND_NODE).moving
    settled(easel)
    settle(
        lambda: all(i.node != SECOND_NODE for n in SERVICES for i in easel.instances.list(service=n)),
        "the node to be empty",
    )
    easel.nodes.uncordon(SECOND_NODE)
    return f"{moving} instances moved to the other node"


def kill_agent(stage: Stage, easel: Easel) -> str:
    before = {
        i.id: (i.started_at, i.restarts) for name in SERVICES for i in easel.instances.list(service=name)
    }
    killed = stage.kill_agent()
    # Only the agent that came back can carry out what is asked of it now.
    scale(stage, easel)
    after = {
        i.id: (i.started_at, i.restarts) for name in SERVICES for i in easel.instances.list(service=name)
    }
    adopted = sum(before.get(instance) == run for instance, run in after.items())
    return f"SIGKILL to {killed}; then to 1 instance and back to 4, {adopted} of them as they were before"


def kill_scheduler_in_update(stage: Stage, easel: Easel) -> str:
    _begin_update(stage, easel)
    wanted = easel.services.get(SERVICES[0]).version
    settle(
        lambda: any(i.ready and i.version == wanted for i in easel.instances.list(service=SERVICES[0])),
        "the first instance of the new version",
    )
    killed = stage.kill_scheduler()
    settled(easel, version=wanted)
    return f"SIGKILL to {killed} after the first of 4 instances was replaced; the update went on to its end"


def kill_gateway(stage: Stage, easel: Easel) -> str:
    killed = stage.kill_gateway()
    # Routes still follow: a change after the kill reaches Envoy.
    for name in SERVICES:
        easel.services.restart(name)
    settled(easel)
    return f"SIGKILL to {killed}, then every instance replaced"


def shift_weights(stage: Stage, easel: Easel) -> str:
    """The group's requests, which are a part of the load, are shared out anew four times a second."""
    shifts = (0, 1, 10, 50, 90, 100, 25, 5, 0)
    for weight in (*shifts, *shifts):
        easel.services.release(CANARY, traffic_state="grouping", weight=weight)
        easel.services.release(SERVICES[0], traffic_state="grouping", weight=100 - weight)
        time.sleep(0.25)
    easel.services.release(CANARY, traffic_state="standalone")
    easel.groups.update(GROUP, traffic_mode="auto")
    return f"{2 * 2 * len(shifts)} changes between 0 and 100 % for one of two members"


def break_mirror_target(stage: Stage, easel: Easel) -> str:
    """Every request is copied to a target that hangs, then dies, then is gone, then comes back."""
    easel.mirrors.put(SERVICES[0], [CANARY], ratio=100)
    for ending in ("hang", "die"):
        time.sleep(2)
        _tell_canary(stage, ending)
    settle(lambda: easel.services.get(CANARY).ready == 1, "the target to be started again")
    easel.services.stop(CANARY)
    settle(lambda: not easel.instances.list(service=CANARY), "the target to have no instance")
    easel.services.start(CANARY)
    settle(lambda: easel.services.get(CANARY).ready == 1, "the target to be back")
    easel.mirrors.delete(SERVICES[0])
    return "the target hung, was killed, stopped and started again"


RUNS = (
    Run("rolling update of 4 instances", update),
    Run("roll-back", roll_back),
    Run("scale 4 → 1 → 4", scale),
    Run("rolling restart", restart),
    Run("a release that crashes", crash),
    Run("soft restart, isolation, deletion of an instance", by_hand),
    Run("drain of one of two nodes", drain),
    Run("kill -9 of an agent", kill_agent),
    Run("kill -9 of the scheduler in the middle of an update", kill_scheduler_in_update, 45.0),
    Run("kill -9 of the gateway", kill_gateway, 45.0),
    Run("shifts of weights in a group", shift_weights),
    Run("death of a mirror's target", break_mirror_target, 45.0),
)


def _tell_canary(stage: Stage, path: str) -> None:
    """It may take the answer along."""
    try:
        httpx.get(
            f"{stage.context.gateway}/api/predict/{CANARY}/{path}",
            headers={"Authorization": TOKEN},
            timeout=5,
        )
    except httpx.HTTPError:
        return


def _phase(easel: Easel, service: str) -> RolloutPhase | None:
    rollout = easel.services.get(service).rollout
    return rollout.phase if rollout is not None else None


def _begin_update(stage: Stage, easel: Easel) -> None:
    release = next(_RELEASES)
    for name in SERVICES:
        easel.services.update(name, stage.spec(name, release, 4), replace=True)
