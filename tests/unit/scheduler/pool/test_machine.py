"""What labels say of a machine, and what is made of labels that say nonsense."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.domain.records import ResourceGroup
from services.scheduler.pool.machine import Machine, machine_of, pool_of
from tests.support.builders import NOON, a_node

SPOT = {"easel/spot": "true"}


def test_labels_say_type_price_and_whether_it_is_a_spot_machine() -> None:
    labels = {"easel/instance-type": "ecs.gn6i", "easel/price": "0.35", "easel/spot": "True", "rack": "7"}

    assert machine_of(labels) == Machine("ecs.gn6i", 0.35, spot=True)


@pytest.mark.parametrize("price", ["much", "-1", "nan", "inf", "1e99"])
def test_a_price_that_cannot_be_read_is_no_price_and_is_said(price: str) -> None:
    found = machine_of({"easel/price": price})

    assert found.price is None
    assert [str(trouble) for trouble in found.troubles] == [
        f"label easel/price is {price!r}, expected a price an hour of 0 or more, such as 0.35"
    ]


def test_a_word_other_than_true_makes_no_spot_node() -> None:
    found = machine_of({"easel/spot": "perhaps"})

    assert not found.spot
    assert str(found.troubles[0]) == "label easel/spot is 'perhaps', expected true or false"


@given(st.dictionaries(st.sampled_from(["easel/instance-type", "easel/price", "easel/spot"]), st.text()))
def test_no_label_breaks_anything(labels: dict[str, str]) -> None:
    machine_of(labels)


def test_a_pool_is_dedicated_by_its_group_else_spot_or_public() -> None:
    dedicated = ResourceGroup("lab", "dedicated", NOON)

    assert pool_of(a_node(labels=SPOT), dedicated) == "dedicated"
    assert pool_of(a_node(labels=SPOT), ResourceGroup("public", "public", NOON)) == "spot"
    assert pool_of(a_node(), None) == "public"
