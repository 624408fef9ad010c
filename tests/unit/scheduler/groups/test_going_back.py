"""A service that goes back by itself goes back into the group of that version, where it can."""

import json

from libs.db.changes import Changes
from libs.domain.states import TrafficState
from services.scheduler.admin.updating import UpdateAsk
from tests.support.builders import a_service
from tests.unit.scheduler.groups.builders import a_group, a_standalone_member
from tests.unit.scheduler.model_cluster import Cluster, a_cluster


def settled(group: str) -> Cluster:
    """A service that runs, in this group or in none."""
    cluster = Cluster(a_cluster(8000, {"auto_rollback": True}))
    if group:
        cluster.stored(Changes(put=(a_group(group), a_standalone_member("other", group=group))))
        cluster.update(an_update(group))
    cluster.settle()
    assert cluster.service.group == group
    return cluster


def an_update(group: str | None, **metadata: object) -> UpdateAsk:
    return UpdateAsk("digits", json.dumps({"metadata": {"group": group, **metadata}}))


def failed(cluster: Cluster) -> None:
    """Whatever the update brings crashes until the service has gone back."""
    newest = cluster.service.version
    for _ in range(10):
        cluster.rest()
        for instance in cluster.instances:
            if instance.version == newest:
                cluster.report("crashing", instance.id)
        if cluster.service.version != newest:
            return
    raise AssertionError("it does not go back")


def test_it_leaves_the_group_of_the_version_that_failed() -> None:
    cluster = settled("")
    cluster.update(an_update("shop", cpu=2))
    assert (cluster.service.group, cluster.service.traffic_state) == ("shop", TrafficState.GROUPING)

    failed(cluster)

    assert (cluster.service.group, cluster.service.traffic_state) == ("", TrafficState.STANDALONE)


def test_it_is_in_the_group_of_the_version_before_again() -> None:
    cluster = settled("shop")
    cluster.update(an_update(None, cpu=2))
    assert cluster.service.group == ""

    failed(cluster)

    assert cluster.service.group == "shop"


def test_where_its_group_cannot_be_again_it_stays_as_it_is() -> None:
    cluster = settled("shop")
    cluster.update(an_update(None, cpu=2))
    cluster.stored(Changes(put=(a_service("shop"),)))

    failed(cluster)

    assert cluster.service.group == ""
