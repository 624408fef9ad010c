"""Who may wait for an instance, who goes first, and what the scheduler is told of it."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from services.gateway.routes import Backend, Endpoint, Group, GroupMember, Hold, Service
from services.gateway.routing.waiting import GATEWAY_ENDS, UNKNOWN_LENGTH, waits
from services.gateway.waiting.queue import Place, Queue
from services.gateway.waiting.reports import level
from services.gateway.waiting.room import AT_ONCE, Asked, WaitingRoom
from services.gateway.xds.bounds import BUFFER_BYTES
from tests.support.waiting import until

READY = (Backend(1, (Endpoint("i", "10.0.0.1", 9000),)),)
HOLD = Hold(requests=3, mib=2)


def asleep(name: str = "svc", hold: Hold = HOLD) -> Service:
    return Service(name, hold=hold, backends=(Backend(1),))


def awake(name: str = "svc") -> Service:
    return Service(name, hold=HOLD, backends=READY)


@dataclass
class Routes:
    """What a test says is known; `has` are the services of which every Envoy has all that is known."""

    services: Mapping[str, Service]
    groups: Mapping[str, Group] = field(default_factory=dict)
    has: set[str] = field(default_factory=set)

    def in_force(self, service: str, group: str = "") -> bool:
        return service in self.has


def taken(queue: Queue, *, came: float = 0.0, length: int = 0, now: float = 0.0) -> Place:
    place = queue.take("svc", "", HOLD, length, came, now)
    assert isinstance(place, Place)
    return place


def test_a_request_waits_while_no_instance_is_ready_and_in_a_group_while_no_member_is() -> None:
    group = {"g": Group("g", members=(GroupMember("svc", 1), GroupMember("other", 1)))}

    assert waits("svc", "", {"svc": asleep()}, {})
    assert waits("svc", "g", {"svc": asleep(), "other": asleep("other")}, group)
    assert not waits("svc", "g", {"svc": asleep(), "other": awake("other")}, group)
    assert not waits("svc", "", {"svc": awake()}, {})
    assert not waits("svc", "", {"svc": Service("svc", backends=(Backend(1),))}, {})
    assert not waits("svc", "", {}, {})


def test_whoever_came_first_goes_first_whichever_envoy_said_so_first() -> None:
    queue = Queue()
    late, early, same = taken(queue, came=2.0), taken(queue, came=1.0), taken(queue, came=2.0)

    assert queue.next(2, "svc", "") == [early, late]
    queue.release([early, late], now=9.0, known_since=8.5)
    assert queue.next(2, "svc", "") == [same]
    assert (queue.lines["svc"].released, queue.lines["svc"].waited, queue.lines["svc"].routing) == (
        2,
        9.0,
        0.5,
    )


def test_a_place_that_is_given_up_makes_room_once() -> None:
    queue = Queue()
    places = [taken(queue) for _ in range(3)]

    refused = queue.take("svc", "", HOLD, 0, 0.0, 0.0)
    assert [queue.leave(places[0]), queue.leave(places[0])] == [True, False]
    taken(queue)

    assert refused == (
        "svc has no ready instance, and 3 requests wait for one, as many as"
        " autoscaler.behavior.onZero.holdRequests allows: ask again in 5 s, or raise it"
    )
    assert (len(queue.lines["svc"].places), queue.lines["svc"].refused) == (3, 1)


def test_of_a_service_that_is_no_more_nothing_is_kept_once_nobody_waits() -> None:
    queue = Queue()
    place = taken(queue)

    queue.forget({"other"})
    assert len(queue.lines["svc"].places) == 1
    queue.refuse(place)
    queue.forget({"svc"})
    assert queue.lines["svc"].refused == 1
    queue.forget({"other"})

    assert not queue.lines
    assert not queue.leave(place)


def test_of_a_body_that_counts_which_envoy_may_hold() -> None:
    queue = Queue()

    long, unknown = taken(queue, length=10**9), taken(queue, length=-1)

    assert (long.bytes, unknown.bytes) == (BUFFER_BYTES, UNKNOWN_LENGTH)
    assert isinstance(queue.take("svc", "", HOLD, BUFFER_BYTES, 0.0, 0.0), str)


async def test_nobody_goes_before_every_envoy_has_the_routes_and_then_all_do_in_order() -> None:
    routes = Routes({"svc": asleep(hold=Hold(requests=1000))})
    room, stop, gone = WaitingRoom(routes), asyncio.Event(), list[int]()

    async def enter(number: int) -> None:
        assert await room.enter(Asked("svc", came=-number)) == ""
        gone.append(number)

    running = asyncio.create_task(room.run(stop))
    asking = [asyncio.create_task(enter(number)) for number in range(3 * AT_ONCE)]
    await until(lambda: len(room.lines["svc"].places) == 3 * AT_ONCE if room.lines else False)
    routes.services = {"svc": awake()}
    room.look()
    await asyncio.sleep(0)
    before = list(gone)
    routes.has.add("svc")
    room.look()
    await asyncio.gather(*asking)
    stop.set()
    await running

    assert before == []
    assert gone == list(reversed(range(3 * AT_ONCE)))


async def test_at_the_end_all_that_wait_are_refused_and_so_is_who_comes_then() -> None:
    room, stop = WaitingRoom(Routes({"svc": asleep()})), asyncio.Event()
    running = asyncio.create_task(room.run(stop))
    asking = asyncio.create_task(room.enter(Asked("svc")))
    await until(lambda: room.lines)

    stop.set()
    await running

    assert [await asking, await room.enter(Asked("svc"))] == [GATEWAY_ENDS] * 2


def test_the_scheduler_is_told_since_when_the_oldest_waits() -> None:
    queue, at = Queue(), datetime(2030, 1, 1, tzinfo=UTC)
    for now in (7.0, 5.0):
        taken(queue, now=now)

    [said] = level(queue.lines, 10.0, at).services

    assert (said.service, said.requests) == ("svc", 2)
    assert said.since.ToDatetime(UTC) == at - timedelta(seconds=5)
