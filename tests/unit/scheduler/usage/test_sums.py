"""Every millisecond of every stay is in exactly one sum."""

from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.domain.errors import InvalidRequest
from libs.domain.scaling import Usage
from services.scheduler.usage.sums import KEYS, keys_of, sums
from tests.support.builders import NOON, at

ALWAYS = (at(-1_000), at(10_000_000))


def a_stay(begin: datetime, end: datetime, **changes: object) -> Usage:
    fields: dict[str, object] = {
        "instance": "i",
        "service": "digits",
        "workspace": "",
        "resource_group": "public",
        "pool": "public",
        "instance_type": "",
        "node": "n1",
    }
    return Usage(**{**fields, **changes}, begin=begin, end=end)  # type: ignore[arg-type]


moments = st.integers(0, 10_000_000_000).map(lambda us: NOON + timedelta(microseconds=us))
stays = st.lists(
    st.builds(
        lambda ends, n, service, group, gpus, price: a_stay(
            min(ends),
            max(ends),
            instance=f"i{n}",
            service=service,
            resource_group=group,
            gpus=gpus,
            price=price,
        ),
        st.tuples(moments, moments),
        st.integers(0, 5),
        st.sampled_from(["a", "b"]),
        st.sampled_from(["public", "own"]),
        st.integers(0, 8),
        st.sampled_from([0.0, 1.25]),
    ),
    max_size=20,
)


@given(stays, st.lists(moments, min_size=2, max_size=8))
def test_the_sums_of_adjacent_spans_are_the_sum_of_the_whole(used: list[Usage], cuts: list[datetime]) -> None:
    cuts = sorted(cuts)
    whole = sums(used, cuts[0], cuts[-1], KEYS)
    parts = [sums(used, begin, end, KEYS) for begin, end in pairwise(cuts)]

    for key in {key for part in parts for key in part} | whole.keys():
        together = [part[key] for part in parts if key in part]
        assert sum(each.instance_ms for each in together) == whole[key].instance_ms
        assert sum(each.gpu_ms for each in together) == whole[key].gpu_ms
        assert sum(each.cost for each in together) == pytest.approx(whole[key].cost)


@given(stays, st.lists(st.sampled_from(KEYS), unique=True))
def test_whatever_is_added_up_by_the_total_is_the_same(used: list[Usage], by: list[str]) -> None:
    expected = sum(each.instance_ms for each in sums(used, *ALWAYS, KEYS).values())

    assert sum(each.instance_ms for each in sums(used, *ALWAYS, tuple(by)).values()) == expected


def test_a_stay_counts_from_its_beginning_up_to_its_end() -> None:
    used = [a_stay(at(0), at(10), gpus=2, cpu_milli=500, memory_mib=64, price=3.6)]

    total = sums(used, at(4), at(100), ("service",))[("digits",)]

    assert (total.instance_ms, total.gpu_ms) == (6_000, 12_000)
    assert (total.cpu_milli_ms, total.memory_mib_ms) == (3_000_000, 384_000)
    assert total.cost == pytest.approx(0.006)


def test_what_only_touches_the_span_is_not_in_it() -> None:
    used = [a_stay(at(0), at(10)), a_stay(at(20), at(30))]

    assert sums(used, at(10), at(20), KEYS) == {}


def test_a_key_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="by: got 'colour', expected one of service, resource_group"):
        keys_of(["service", "colour"])
