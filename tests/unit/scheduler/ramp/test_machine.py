"""Whatever its numbers, a ramp goes on only on good ones, and it ends where there are numbers at all."""

import asyncio
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from libs.db.changes import Changes
from libs.domain.records import ResourceGroup
from libs.domain.states import RampPhase, TrafficState
from libs.domain.traffic import Ramp
from services.scheduler.groups.picture import shares_of
from services.scheduler.ledger import Ledger
from services.scheduler.ramp.begin import RampAsked, started
from services.scheduler.ramp.loop import Ramps
from services.scheduler.ramp.moves import ended
from services.scheduler.traffic.totals import Totals
from services.scheduler.world import World
from tests.support.builders import NOON
from tests.support.memory_store import MemoryStore
from tests.unit.scheduler.groups.builders import a_group, a_member, a_standalone_member, instances_of
from tests.unit.scheduler.ramp.numbers import counted

STEPS = (5, 50, 100)
BOUND = 0.05


@dataclass
class PlayedNumbers:
    """Counts as a test plays them; `silent` gateways tell nothing new."""

    clock: list[datetime]
    wanted: frozenset[str] = frozenset()
    known: dict[str, Totals] = field(default_factory=dict)

    def watch(self, who: str, services: object) -> None:
        self.wanted = frozenset(services)  # type: ignore[call-overload]

    def totals(self, service: str) -> Totals | None:
        return self.known.get(service)

    def count(self, service: str, requests: int, failed: int = 0, slow: int = 0) -> None:
        before = self.known.get(service, Totals(NOON))
        self.known[service] = before.plus(counted(requests, failed, slow, at=self.clock[0]))


@dataclass
class Stage:
    ledger: Ledger
    numbers: PlayedNumbers
    clock: list[datetime]
    ramps: Ramps

    @property
    def ramp(self) -> Ramp:
        return self.ledger.world.ramps["canary"]

    @property
    def running(self) -> bool:
        return self.ramp.phase is RampPhase.RUNNING

    @property
    def share(self) -> float:
        world = self.ledger.world
        return next(s.share for s in shares_of(world, world.group("shop")) if s.service == "canary")

    def restart(self) -> None:
        """The scheduler forgets all that it does not store."""
        self.ramps = Ramps(self.ledger, self.numbers, lambda: self.clock[0])

    async def pass_in(self, seconds: float) -> None:
        self.clock[0] += timedelta(seconds=seconds)
        await self.ramps.look()


async def a_stage(asked: RampAsked) -> Stage:
    store, clock = MemoryStore(), [NOON]
    records = (
        ResourceGroup("public", "public", NOON),
        a_group(),
        a_member("one"),
        a_standalone_member("canary", weight=3),
        *instances_of("one", 2),
        *instances_of("canary", 1),
    )
    await store.commit(Changes(put=tuple(replace(each, revision=0) for each in records)))
    ledger = Ledger(store, World(await store.load()))
    numbers = PlayedNumbers(clock)
    stage = Stage(ledger, numbers, clock, Ramps(ledger, numbers, lambda: clock[0]))
    await ledger.change(lambda world: started(world, "canary", asked, NOON))
    return stage


PLAN = RampAsked(STEPS, 10, max_error_rate=BOUND, max_p99_increase=0.5)

# Seconds that pass, what the member and the others then had (None: no word of them), and a restart before.
looks = st.lists(
    st.tuples(
        st.sampled_from((1, 5, 11)),
        st.one_of(
            st.none(), st.tuples(st.integers(0, 200), st.sampled_from((0.0, 0.03, 0.5)), st.booleans())
        ),
        st.one_of(st.none(), st.integers(0, 2000)),
        st.booleans(),
    ),
    max_size=12,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(looks)
def test_a_ramp_goes_on_only_on_good_numbers_and_always_ends(
    given_looks: list[tuple[int, tuple[int, float, bool] | None, int | None, bool]],
) -> None:
    asyncio.run(_played(given_looks))


async def _played(given_looks: list[tuple[int, tuple[int, float, bool] | None, int | None, bool]]) -> None:
    stage = await a_stage(PLAN)
    for seconds, member, others, restarted in given_looks:
        if not stage.running:
            break
        if restarted:
            stage.restart()
        if member is not None:
            requests, failing, slow = member
            stage.numbers.count("canary", requests, round(requests * failing), requests // 2 if slow else 0)
        if others is not None:
            stage.numbers.count("one", others)
        before = stage.ramp
        await stage.pass_in(seconds)
        _hold_to_promises(stage, before)
    await _comes_to_its_end(stage)


def _hold_to_promises(stage: Stage, before: Ramp) -> None:
    after = stage.ramp
    assert after.step - before.step in (0, 1)
    if after.step > before.step or after.phase is RampPhase.COMPLETED:
        told = stage.numbers.totals("canary")
        assert told is not None and told.fresh(stage.clock[0])
        assert stage.clock[0] - before.stepped_at >= timedelta(seconds=before.every_s)
        assert told.requests >= before.min_requests
    if after.phase is RampPhase.RUNNING:
        assert abs(stage.share - STEPS[after.step] / 100) < 1e-9
        assert stage.numbers.wanted == {"canary", "one"}
    if after.phase is RampPhase.WENT_BACK:
        member = stage.ledger.world.service("canary")
        assert (member.traffic_state, member.weight) == (TrafficState.STANDALONE, 3)


async def _comes_to_its_end(stage: Stage) -> None:
    """With requests that all go well, whatever was before."""
    for _ in range(400):
        if not stage.running:
            break
        stage.numbers.count("canary", 500)
        stage.numbers.count("one", 500)
        before = stage.ramp
        await stage.pass_in(2)
        _hold_to_promises(stage, before)
    assert stage.ramp.phase in (RampPhase.COMPLETED, RampPhase.WENT_BACK)
    await stage.pass_in(1)
    assert stage.numbers.wanted == frozenset()


async def test_a_good_member_has_all_requests_in_the_end() -> None:
    stage = await a_stage(PLAN)

    await _comes_to_its_end(stage)

    assert stage.ramp.phase is RampPhase.COMPLETED
    assert stage.share == 1.0


async def test_a_bad_member_goes_back_and_says_why() -> None:
    stage = await a_stage(PLAN)
    await stage.pass_in(1)
    stage.numbers.count("canary", 0)
    stage.numbers.count("one", 0)
    await stage.pass_in(1)
    stage.numbers.count("canary", 40, failed=20)
    stage.numbers.count("one", 760)

    await stage.pass_in(1)

    assert stage.ramp.phase is RampPhase.WENT_BACK
    assert stage.ramp.why == "at 5 %: 50 % of 40 requests failed (5 % allowed)"
    assert stage.share == 0


async def test_what_failed_before_the_step_began_is_not_held_against_it() -> None:
    stage = await a_stage(PLAN)
    stage.numbers.count("canary", 1000, failed=900)

    await stage.pass_in(1)
    await stage.pass_in(1)

    assert stage.running


async def test_what_an_earlier_ramp_counted_is_not_held_against_the_next() -> None:
    stage = await a_stage(PLAN)
    await stage.pass_in(1)
    stage.numbers.count("canary", 10)
    await stage.pass_in(1)
    await stage.ledger.change(lambda world: ended(world, "canary", True, stage.clock[0]))
    stage.numbers.count("canary", 10, failed=10)
    await stage.ledger.change(lambda world: started(world, "canary", PLAN, stage.clock[0]))

    await stage.pass_in(1)
    await stage.pass_in(1)

    assert stage.running


async def test_after_a_restart_a_step_goes_on_where_it_was_and_counts_anew() -> None:
    stage = await a_stage(PLAN)
    for _ in range(7):
        stage.numbers.count("canary", 100)
        stage.numbers.count("one", 100)
        await stage.pass_in(2)
    step = stage.ramp.step

    stage.restart()
    await stage.pass_in(2)

    assert step == 1
    assert (stage.ramp.step, stage.running) == (step, True)
    assert stage.ramps.said(stage.ramp) == "at 50 %: waiting for the first numbers of the gateways"
    await stage.pass_in(7)
    assert stage.ramps.said(stage.ramp) == "its requests are not known: no gateway has told numbers lately"


async def test_what_was_said_of_a_ramp_is_not_said_of_the_next_one() -> None:
    stage = await a_stage(PLAN)
    await stage.pass_in(1)
    await stage.pass_in(20)
    assert "no gateway has told numbers lately" in stage.ramps.said(stage.ramp)

    await stage.ledger.change(lambda world: ended(world, "canary", True, stage.clock[0]))
    stage.clock[0] += timedelta(milliseconds=1)
    await stage.ledger.change(lambda world: started(world, "canary", PLAN, stage.clock[0]))

    assert stage.ramps.said(stage.ramp) == "it has just begun"


async def test_what_a_ramp_waits_for_is_said_and_not_stored() -> None:
    stage = await a_stage(PLAN)
    revision = stage.ramp.revision
    for _ in range(3):
        stage.numbers.count("canary", 4)
        await stage.pass_in(1)

    assert stage.ramps.said(stage.ramp).startswith("at 5 % for ")
    assert stage.ramp.revision == revision
