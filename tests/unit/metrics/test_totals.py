"""Totals: nothing is lost and nothing doubled, whoever is started anew."""

from dataclasses import dataclass, field
from itertools import count

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.metrics import totals
from services.metrics.durations import Durations
from services.metrics.envoy_source import EnvoyLife, Remembered, may_come_back, same_life
from services.metrics.keeping import Kept, decoded, encoded, kept
from services.metrics.totals import STATUS_2XX, Key, Totals, by_class, growth
from tests.support.counting_envoy import CountingEnvoy

CLUSTERS = ("echo/1", "echo/2", "sleepy/1")


@dataclass
class Metrics:
    """One process of metrics, as far as totals go."""

    totals: Totals = field(default_factory=Totals)
    lives: list[Remembered] = field(default_factory=list)
    open: dict[int, EnvoyLife] = field(default_factory=dict)

    def hear(self, envoy: CountingEnvoy, at: float) -> None:
        """One message of an Envoy, on a stream of its own."""
        life = self.open.get(id(envoy))
        if life is None:
            life = self.open[id(envoy)] = EnvoyLife(envoy.node, envoy.word)
            life.read(envoy.families())
            before = same_life(self.lives, life, at)
            life.begin(at)
            if before is not None:
                self.lives = [each for each in self.lives if each is not before]
                life.continue_from(before, at)
        else:
            life.read(envoy.families())
        life.settle(self.totals, at)

    def hang_up(self, envoy: CountingEnvoy) -> None:
        life = self.open.pop(id(envoy), None)
        if life is not None:
            self.lives.append(life.remembered())

    def checkpoint(self) -> bytes:
        lives = [*self.lives, *(life.remembered() for life in self.open.values())]
        return encoded(kept(self.totals, Durations(), lives))

    @staticmethod
    def restored(content: bytes) -> "Metrics":
        found: Kept = decoded(content)
        again = Metrics(lives=found.lives)
        places = [again.totals.place(key) for key in found.keys]
        again.totals.raw[places], again.totals.shown[places] = found.raw, found.shown
        return again

    def answered(self, cluster: str, column: int = STATUS_2XX) -> float:
        place = self.totals.find(Key("gateway", "cluster", cluster))
        return 0.0 if place < 0 else float(self.totals.shown[place, column])


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("serve"), st.sampled_from(CLUSTERS), st.integers(1, 50)),
        st.tuples(st.just("fail"), st.sampled_from(CLUSTERS), st.integers(1, 50)),
        st.tuples(st.just("drop"), st.sampled_from(CLUSTERS), st.just(0)),
        st.tuples(st.just("change"), st.sampled_from(CLUSTERS), st.just(0)),
        st.tuples(st.just("tell"), st.just(""), st.just(0)),
        st.tuples(st.just("cut"), st.just(""), st.just(0)),
        st.tuples(st.just("checkpoint"), st.just(""), st.just(0)),
        st.tuples(st.just("metrics dies"), st.just(""), st.just(0)),
        st.tuples(st.just("envoy dies"), st.just(""), st.just(0)),
        st.tuples(st.just("time passes"), st.just(""), st.integers(1, 100)),
    ),
    max_size=60,
)


@settings(deadline=None, max_examples=150)
@given(STEPS, st.booleans())
def test_no_restart_at_any_moment_loses_or_doubles_a_request(
    steps: list[tuple[str, str, int]], worded: bool
) -> None:
    words = (f"start-{number}" if worded else "" for number in count())
    metrics, envoy, at = Metrics(), CountingEnvoy(word=next(words)), 1_000.0
    file = metrics.checkpoint()
    served, failed = dict.fromkeys(CLUSTERS, 0), dict.fromkeys(CLUSTERS, 0)
    for step, cluster, number in steps:
        if step == "serve":
            envoy.serve(cluster, times=number)
            served[cluster] += number
        elif step == "fail":
            envoy.serve(cluster, status=503, times=number)
            failed[cluster] += number
        elif step in ("drop", "change"):
            # What it counted was told and kept, and so is that it counts no more.
            metrics.hear(envoy, at)
            envoy.drop(cluster) if step == "drop" else envoy.change(cluster)
            metrics.hear(envoy, at)
            metrics.hear(envoy, at)
            file = metrics.checkpoint()
        elif step == "tell":
            metrics.hear(envoy, at)
        elif step == "cut":
            metrics.hang_up(envoy)
        elif step == "checkpoint":
            file = metrics.checkpoint()
        elif step == "metrics dies":
            # Without a word: it wrote the file some time ago, and has counted since.
            metrics = Metrics.restored(file)
        elif step == "envoy dies":
            # Its last numbers were told and kept; what dies unsaid nobody can know.
            metrics.hear(envoy, at)
            metrics.hang_up(envoy)
            file = metrics.checkpoint()
            at += 10
            envoy = CountingEnvoy(word=next(words))
        elif step == "time passes":
            at += number
            envoy.uptime += number

    metrics.hear(envoy, at)

    assert {cluster: metrics.answered(cluster) for cluster in CLUSTERS} == served
    assert {cluster: metrics.answered(cluster, totals.STATUS_5XX) for cluster in CLUSTERS} == failed
    for cluster in CLUSTERS:
        assert metrics.answered(cluster, totals.REQUESTS) == served[cluster] + failed[cluster]


def test_a_cluster_that_is_put_up_anew_counts_from_nothing() -> None:
    metrics, envoy = Metrics(), CountingEnvoy()
    envoy.serve("echo/1", times=7)
    metrics.hear(envoy, 1_000.0)
    envoy.drop("echo/1")
    for second in range(12):
        metrics.hear(envoy, 1_001.0 + second)

    envoy.serve("echo/1", times=9)
    metrics.hear(envoy, 1_020.0)

    assert metrics.answered("echo/1") == 16


@pytest.mark.parametrize("word", ["", "a"])
@pytest.mark.parametrize("failed", [0, 10])
@pytest.mark.parametrize("again", [1, 30])
@pytest.mark.parametrize("away", [False, True])
@pytest.mark.parametrize("seconds", [1, 2, 12])
def test_what_a_cluster_counted_is_neither_counted_again_nor_taken_off_when_it_comes_back(
    word: str, failed: int, again: int, away: bool, seconds: int
) -> None:
    metrics, envoy = Metrics(), CountingEnvoy(word=word)
    envoy.serve("echo/1", status=500, times=failed)
    envoy.serve("echo/1")
    metrics.hear(envoy, 1_000.0)
    envoy.drop("echo/1")
    for second in range(1, 1 + seconds):
        envoy.uptime = second
        metrics.hear(envoy, 1_000.0 + second)
    if away:
        metrics = Metrics.restored(metrics.checkpoint())

    envoy.serve("echo/1", times=again)
    for second in range(20, 24):
        envoy.uptime = second
        metrics.hear(envoy, 1_000.0 + second)

    assert metrics.answered("echo/1", totals.STATUS_5XX) == failed
    assert metrics.answered("echo/1") == 1 + again
    assert metrics.answered("echo/1", totals.BYTES_IN) == 100 * (1 + failed + again)


@pytest.mark.parametrize("away", [False, True])
def test_a_cluster_that_is_made_anew_within_one_second_brings_back_no_old_error(away: bool) -> None:
    metrics, envoy = Metrics(), CountingEnvoy(word="a")
    envoy.serve("echo/1", status=500, times=10)
    envoy.serve("echo/1")
    metrics.hear(envoy, 1_000.0)
    if away:
        metrics = Metrics.restored(metrics.checkpoint())
    envoy.drop("echo/1")
    envoy.serve("echo/1")
    for second in range(4):
        metrics.hear(envoy, 1_001.0 + second)
    envoy.serve("echo/1", status=500)
    metrics.hear(envoy, 1_005.0)

    assert metrics.answered("echo/1", totals.STATUS_5XX) == 11
    assert metrics.answered("echo/1") == 2
    assert metrics.answered("echo/1", totals.REQUESTS) == 13


@pytest.mark.parametrize("again", [1, 10, 30])
def test_a_cluster_that_is_changed_goes_on_while_its_classes_of_status_begin_anew(again: int) -> None:
    metrics, envoy = Metrics(), CountingEnvoy()
    envoy.serve("echo/1", times=10)
    envoy.serve("echo/1", status=500, times=4)
    metrics.hear(envoy, 1_000.0)
    envoy.change("echo/1")
    metrics.hear(envoy, 1_001.0)

    envoy.serve("echo/1", times=again)
    for second in range(3):
        metrics.hear(envoy, 1_002.0 + second)

    assert metrics.answered("echo/1") == 10 + again
    assert metrics.answered("echo/1", totals.STATUS_5XX) == 4
    assert metrics.answered("echo/1", totals.REQUESTS) == 14 + again


@pytest.mark.parametrize("lacking", ["echo/1", "echo/1.upstream_rq_2xx", "echo/1.upstream_rq_total"])
def test_a_first_message_that_lacks_something_takes_nothing_away(lacking: str) -> None:
    metrics, envoy = Metrics(), CountingEnvoy(word="a")
    envoy.serve("echo/1", times=7)
    metrics.hear(envoy, 1_000.0)
    metrics = Metrics.restored(metrics.checkpoint())
    envoy.serve("echo/1", times=2)
    counters = envoy.counters
    envoy.counters = {name: n for name, n in counters.items() if not name.startswith(f"cluster.{lacking}")}
    metrics.hear(envoy, 1_001.0)
    envoy.counters = counters

    for second in range(3):
        metrics.hear(envoy, 1_002.0 + second)

    assert metrics.answered("echo/1") == 9
    assert metrics.answered("echo/1", totals.REQUESTS) == 9


def test_what_nobody_tells_of_any_more_is_not_under_way() -> None:
    metrics, envoy = Metrics(), CountingEnvoy()
    envoy.serve("echo/1")
    envoy.gauges["cluster.echo/1.upstream_rq_active"] = 3.0
    metrics.hear(envoy, 1_000.0)
    key = Key("gateway", "cluster", "echo/1")
    assert dict(metrics.open[id(envoy)].in_flight())[key] == 3

    envoy.drop("echo/1")
    for second in range(2):
        metrics.hear(envoy, 1_001.0 + second)

    assert dict(metrics.open[id(envoy)].in_flight())[key] == 0


def test_what_is_kept_between_a_message_and_its_sums_loses_nothing() -> None:
    metrics, envoy = Metrics(), CountingEnvoy(word="a")
    envoy.serve("echo/1", times=7)
    metrics.hear(envoy, 1_000.0)
    envoy.serve("echo/1", times=2)
    metrics.open[id(envoy)].read(envoy.families())

    metrics = Metrics.restored(metrics.checkpoint())
    metrics.hear(envoy, 1_001.0)

    assert metrics.answered("echo/1") == 9


def test_a_message_that_comes_in_many_parts_with_pauses_between_them_doubles_nothing() -> None:
    metrics, envoy = Metrics(), CountingEnvoy(word="a")
    for number in range(30):
        envoy.serve(f"echo-{number}/1", times=10)
    metrics.hear(envoy, 1_000.0)
    life = metrics.open[id(envoy)]
    for second in range(3):
        for number, family in enumerate(envoy.families()):
            life.read([family])
            life.settle(metrics.totals, 1_001.0 + second + number / 1_000)

    assert [metrics.answered(f"echo-{number}/1") for number in range(30)] == [10] * 30


def test_a_block_of_which_a_counter_that_is_made_with_it_fell_began_anew() -> None:
    last, now = np.full((3, totals.WIDTH), 5.0), np.full((3, totals.WIDTH), 6.0)
    now[0, totals.REQUESTS] = now[1, STATUS_2XX] = 2.0

    grown = growth(last, now)

    assert grown[0].tolist() == now[0].tolist()
    assert grown[1, STATUS_2XX] == 2
    assert np.delete(grown[1], STATUS_2XX).tolist() == [1.0] * 11
    assert grown[2].tolist() == [1.0] * 12


def test_two_envoys_of_one_name_count_beside_each_other() -> None:
    metrics, first, second = Metrics(), CountingEnvoy(), CountingEnvoy()
    second.uptime = 500.0
    for envoy in (first, second):
        envoy.serve("echo/1", times=10)
        metrics.hear(envoy, 1_000.0)
    metrics.hang_up(first)
    metrics.hang_up(second)
    first.uptime, second.uptime = 60.0, 560.0
    for envoy in (second, first):
        envoy.serve("echo/1", times=1)
        metrics.hear(envoy, 1_060.0)

    assert metrics.answered("echo/1") == 22


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_two_envoys_that_started_together_are_not_taken_for_each_other(order: tuple[int, int]) -> None:
    metrics, envoys = Metrics(), [CountingEnvoy(), CountingEnvoy()]
    for envoy, times in zip(envoys, (10, 1_000), strict=True):
        envoy.serve("echo/1", times=times)
        metrics.hear(envoy, 1_000.0)
    metrics = Metrics.restored(metrics.checkpoint())
    for envoy in envoys:
        envoy.uptime = 5.0
        envoy.serve("echo/1", times=1)

    for number in order:
        metrics.hear(envoys[number], 1_005.0)

    assert metrics.answered("echo/1") == 1_012


def test_an_envoy_with_a_word_of_its_start_is_known_by_it_whatever_its_clock_says() -> None:
    metrics, envoy = Metrics(), CountingEnvoy(word="a")
    envoy.uptime = 50.0
    envoy.serve("echo/1", times=10)
    metrics.hear(envoy, 1_000.0)
    metrics.hang_up(envoy)
    successor = CountingEnvoy(word="b")
    successor.uptime = 51.0
    successor.serve("echo/1", times=30)
    metrics.hear(successor, 1_001.0)
    metrics.hang_up(successor)
    successor.serve("echo/1", times=2)
    metrics.hear(successor, 90_000.0)

    assert metrics.answered("echo/1") == 42


def test_after_a_clock_that_was_set_back_what_happens_is_in_the_windows_at_once() -> None:
    envoy, before = CountingEnvoy(word="a"), EnvoyLife("gateway-envoy", "a")
    envoy.serve("echo/1", times=10)
    before.read(envoy.families())
    before.begin(5_000.0)
    before.settle(Totals(), 5_000.0)
    envoy.serve("echo/1", times=10)
    again = EnvoyLife("gateway-envoy", "a")
    again.read(envoy.families())
    again.begin(1_400.0)
    again.continue_from(before.remembered(), 1_400.0)

    told = again.settle(Totals(), 1_400.0)

    assert (told.begin, told.end) == (1_399.0, 1_400.0)


def test_of_an_envoy_that_crashes_again_and_again_the_newest_lives_are_remembered() -> None:
    nothing = np.zeros((0, totals.WIDTH))
    crashing = [
        Remembered("gateway-envoy", f"word-{n}", 0.0, 100_000.0 + n, [], nothing) for n in range(1_000)
    ]
    steady = Remembered("node-1-envoy", "word", 0.0, 90_000.0, [], nothing)
    away = Remembered("node-2-envoy", "word", 0.0, 10_000.0, [], nothing)

    kept_lives = may_come_back([away, steady, *crashing], at=101_000.0)

    assert [each.word for each in kept_lives] == [*(f"word-{n}" for n in range(999, 899, -1)), "word"]
    assert kept_lives[-1] is steady


def test_a_limit_is_told_from_a_fault_of_an_instance() -> None:
    raw = np.zeros((1, totals.WIDTH))
    raw[0, totals.STATUS_5XX], raw[0, totals.OVERFLOWED], raw[0, totals.TIMED_OUT] = 9, 4, 3

    shown = by_class(raw)

    assert shown[0, totals.STATUS_4XX] == 7
    assert shown[0, totals.STATUS_5XX] == 2


def test_what_is_shown_never_falls_though_two_counters_are_not_read_at_one_moment() -> None:
    kept_totals = Totals()
    place = np.array([kept_totals.place(Key("gateway", "cluster", "echo/1"))])
    grown = np.zeros((3, 1, totals.WIDTH))
    grown[0, 0, totals.STATUS_5XX] = 1
    # The overflow is there before the status that it causes.
    grown[1, 0, totals.OVERFLOWED] = 1
    grown[2, 0, totals.STATUS_5XX] = 1
    shown = []
    for each in grown:
        kept_totals.add(place, each)
        shown.append(kept_totals.shown[place[0], totals.STATUS_5XX])

    assert shown == [1, 1, 1]


def test_a_forgotten_service_takes_no_place() -> None:
    kept_totals = Totals()
    kept_totals.place(Key("gateway", "cluster", "echo/1"))
    old = kept_totals.place(Key("gateway", "cluster", "gone/1"))

    kept_totals.forget(lambda key: key.service == "gone")

    assert kept_totals.find(Key("gateway", "cluster", "gone/1")) == -1
    assert kept_totals.place(Key("gateway", "cluster", "new/1")) == old
