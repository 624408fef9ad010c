"""What an agent is told of its node's instances."""

from services.scheduler.agents.desired import desired_state
from tests.support.builders import a_node, a_ready_instance, a_service, a_spec, a_version, a_world


def test_a_document_that_cannot_be_read_any_more_keeps_no_other_instance_from_its_agent() -> None:
    world = a_world(
        a_node("n1"),
        a_service("odd"),
        a_version("odd", spec=a_spec("odd", cpu="many")),
        a_ready_instance("odd-1", service="odd", node="n1"),
        a_service("well"),
        a_version("well"),
        a_ready_instance("well-1", service="well", node="n1"),
    )

    told = desired_state(world, "n1", 7)

    assert [(each.id, bool(each.drain_ms)) for each in told.assignments] == [
        ("odd-1", True),
        ("well-1", True),
    ]
