"""Whatever crashes, is lost, is refused room or is asked for, and in whatever order: what the planner never
does, and that it always comes to an end."""

from dataclasses import replace
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from libs.domain.errors import FailedPrecondition
from libs.domain.records import Instance
from libs.domain.states import RolloutPhase
from services.scheduler.rollout.begin import Action, PlanAsked, controlled, replanned
from services.scheduler.rollout.groups import is_apart, serving
from tests.unit.scheduler.rollout.model_service import SAID, ModelService

shares = st.sampled_from(["1", "2", "25%", "50%", "100%"])
PLANS = st.one_of(
    st.just(PlanAsked()),
    st.builds(PlanAsked, partition=st.sampled_from(["0", "1", "30%", "100%"]), paused=st.booleans()),
    st.builds(PlanAsked, batch_size=shares, interval_s=st.sampled_from([None, 0, 30]), paused=st.booleans()),
)
places = st.integers(0, 30)
BOUNDS = st.tuples(st.integers(0, 3), st.integers(0, 2)).filter(any)


class Planner(RuleBasedStateMachine):
    @initialize(bounds=BOUNDS, wanted=st.integers(0, 5), room=st.integers(1, 9), back=st.booleans())
    def begins(self, bounds: tuple[int, int], wanted: int, room: int, back: bool) -> None:
        surge, unavailable = bounds
        self.model = ModelService(surge, unavailable, room, auto_rollback=back)
        self.model.service = replace(self.model.service, wanted=wanted)
        self.model.settle()
        everyone_is(self.model, "ready")

    @rule(place=places, what=st.sampled_from(sorted(SAID)))
    def an_agent_reports(self, place: int, what: str) -> None:
        if instance := self._at(place):
            self.model.say(instance, what)

    @rule()
    def all_get_ready(self) -> None:
        everyone_is(self.model, "ready")

    @rule(place=places)
    def an_instance_is_lost(self, place: int) -> None:
        if instance := self._at(place):
            del self.model.instances[instance.id]

    @rule(node=st.sampled_from(["n0", "n1"]), draining=st.booleans())
    def a_node_is_drained_or_open(self, node: str, draining: bool) -> None:
        self.model.nodes[node] = replace(self.model.nodes[node], draining=draining)

    @rule(room=st.integers(0, 9))
    def there_is_room_for(self, room: int) -> None:
        self.model.room = room

    @rule(wanted=st.integers(0, 5))
    def it_is_scaled(self, wanted: int) -> None:
        self._changed(wanted=wanted)

    @rule(plan=PLANS)
    def it_is_updated(self, plan: PlanAsked) -> None:
        self.model.update(self.model.newest + 1, plan)

    @rule(back=st.integers(1, 3), plan=PLANS)
    def it_goes_to_an_older_version(self, back: int, plan: PlanAsked) -> None:
        version = max(1, self.model.service.version - back)
        if version != self.model.service.version:
            self.model.update(version, plan)

    @rule(action=st.sampled_from(list(Action)))
    def its_user_steers_the_update(self, action: Action) -> None:
        self._steered(lambda rollout: controlled(rollout, action, self.model.now))

    @rule(plan=PLANS)
    def its_user_gives_the_update_another_plan(self, plan: PlanAsked) -> None:
        self._steered(lambda rollout: replanned(rollout, plan, self.model.now))

    @rule()
    def it_is_restarted(self) -> None:
        self.model.wait(1)
        self._changed(restarted_at=self.model.now)

    @rule(stopped=st.booleans())
    def it_is_stopped_or_started(self, stopped: bool) -> None:
        self._changed(stopped=stopped)

    @rule(
        place=places,
        change=st.sampled_from(
            [{"isolated": True}, {"isolated": False}, {"detached": True}, {"replace_why": "asked for"}]
        ),
    )
    def an_instance_is_treated(self, place: int, change: dict[str, Any]) -> None:
        if instance := self._at(place):
            self.model.instances[instance.id] = replace(instance, **change)

    @rule(seconds=st.sampled_from([1, 31, 700]))
    def time_passes(self, seconds: int) -> None:
        self.model.wait(seconds)

    @invariant()
    def the_planner_keeps_its_promises_and_rests(self) -> None:
        if hasattr(self, "model"):
            self.model.settle()

    def teardown(self) -> None:
        if hasattr(self, "model"):
            ends(self.model)

    def _at(self, place: int) -> Instance | None:
        known = sorted(self.model.instances.values(), key=lambda i: i.id)
        return known[place % len(known)] if known else None

    def _changed(self, **changes: Any) -> None:
        self.model.service = replace(self.model.service, **changes)

    def _steered(self, act: Any) -> None:
        if self.model.rollout is None:
            return
        try:
            self.model.rollout = act(self.model.rollout)
        except FailedPrecondition:
            return


def everyone_is(model: ModelService, what: str) -> None:
    for instance in list(model.instances.values()):
        model.say(instance, what)


def ends(model: ModelService) -> None:
    """In a world that behaves: agents make everything ready, nodes have room, and nobody holds it up."""
    model.nodes = {name: replace(node, draining=False) for name, node in model.nodes.items()}
    # Where some may be missing there need be no room for more than what is wanted.
    model.room = max(model.wanted, 1) if model.unavailable else 20
    if model.rollout is not None and model.rollout.finished_at is None:
        model.rollout = controlled(model.rollout, Action.PROMOTE, model.now)
    for _ in range(60):
        everyone_is(model, "ready")
        model.settle()
        model.place()
    everyone_is(model, "ready")
    model.settle()
    assert len(model.counted) == model.wanted
    held = sum(i.isolated for i in model.counted)
    assert serving(model.counted) == model.wanted - held
    assert {i.version for i in model.counted} <= {model.service.version}
    if model.wanted > held and model.rollout is not None:
        assert model.rollout.phase is RolloutPhase.COMPLETED
        assert model.service.stable_version == model.service.version
    assert all(i.detached or i.isolated for i in model.instances.values() if is_apart(i, model.service))


Planner.TestCase.settings = settings(
    max_examples=150, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
TestPlanner = Planner.TestCase


QUIET = st.lists(
    st.one_of(
        st.tuples(st.just("update"), PLANS),
        st.tuples(st.just("ready"), places),
        st.tuples(st.just("all ready")),
        st.tuples(st.just("drain"), st.sampled_from(["n0", "n1"]), st.booleans()),
        st.tuples(st.just("restart")),
        st.tuples(st.just("promote")),
    ),
    max_size=40,
)


@settings(max_examples=150, deadline=None)
@given(bounds=BOUNDS, wanted=st.integers(1, 5), room=st.integers(5, 9), steps=QUIET)
def test_while_nothing_crashes_never_fewer_serve_than_may_be_missing(
    bounds: tuple[int, int], wanted: int, room: int, steps: list[tuple[Any, ...]]
) -> None:
    model = ModelService(*bounds, room)
    model.service = replace(model.service, wanted=wanted)
    model.settle()
    everyone_is(model, "ready")
    for step in steps:
        carry_out(model, step)
        model.settle()
        assert serving(model.counted) >= wanted - model.unavailable
        assert len(model.counted) <= wanted + model.surge
    ends(model)


def carry_out(model: ModelService, step: tuple[Any, ...]) -> None:
    model.wait(1)
    match step:
        case ("update", plan):
            model.update(model.newest + 1, plan)
        case ("ready", place) if model.instances:
            known = sorted(model.instances.values(), key=lambda i: i.id)
            model.say(known[place % len(known)], "ready")
        case ("all ready",):
            everyone_is(model, "ready")
        case ("drain", node, draining):
            model.nodes[node] = replace(model.nodes[node], draining=draining)
        case ("restart",):
            model.service = replace(model.service, restarted_at=model.now)
        case ("promote",) if model.rollout is not None and model.rollout.finished_at is None:
            model.rollout = controlled(model.rollout, Action.PROMOTE, model.now)
