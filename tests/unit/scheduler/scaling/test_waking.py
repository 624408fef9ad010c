"""What is told of a service that slept, once it answers what waited for it."""

from dataclasses import replace
from datetime import datetime

from easel.gateway.v1 import gateway_pb2
from libs.db.changes import Changes
from libs.domain.records import Event
from libs.domain.scaling import StartPhase
from services.scheduler.ledger import Ledger
from services.scheduler.scaling.waiting import WaitingRequests
from services.scheduler.scaling.waking import Wakes
from services.scheduler.world import World
from tests.support.builders import a_ready_instance, a_service, a_version, at
from tests.support.memory_store import MemoryStore

PHASES = (StartPhase("placing", 0.01), StartPhase("pulling", 0), StartPhase("starting", 1.2))


class Scene:
    """A service that sleeps, with a clock that the test sets."""

    def __init__(self, ledger: Ledger) -> None:
        self.now = at(0)
        self.ledger, self.waiting = ledger, WaitingRequests()
        self.wakes = Wakes(ledger, self.waiting, self.clock)
        self.events: list[Event] = []
        ledger.subscribe(lambda changes: self.events.extend(changes.events))

    def clock(self) -> datetime:
        return self.now

    def says(self, requests: int, key: str = "g", **level: float) -> None:
        told = gateway_pb2.ServiceWaiting(service="digits", requests=requests)
        for name, value in level.items():
            setattr(told, name, value)
        self.waiting.said(key, [told])

    async def becomes_ready(self, made_at: datetime) -> None:
        ready = a_ready_instance(created_at=made_at, ready_at=self.now, phases=PHASES, revision=0)
        await self.ledger.change(lambda _: Changes(put=(ready,)))


async def a_scene() -> Scene:
    store = MemoryStore()
    await store.commit(Changes(put=(a_service(revision=0), replace(a_version(), revision=0))))
    return Scene(Ledger(store, World(await store.load())))


async def test_waking_is_told_once_with_what_the_time_went_into() -> None:
    scene = await a_scene()
    scene.says(1)
    scene.now = at(1.5)
    scene.says(12)
    await scene.becomes_ready(made_at=at(0.03))
    scene.now = at(1.92)
    scene.says(0, released=12, waited_s=1.92, routing_s=0.01)

    await scene.wakes.look()
    await scene.wakes.look()

    (event,) = scene.events
    assert event.reason == "Woke"
    assert event.why == (
        "awake after 1.92 s: deciding 0.03, placing 0.01, pulling 0, starting 1.2, routing 0.01; "
        "12 requests had waited"
    )
    assert event.details == {
        "waited_s": "1.920",
        "requests": "12",
        "deciding_s": "0.030",
        "placing_s": "0.010",
        "pulling_s": "0.000",
        "starting_s": "1.200",
        "routing_s": "0.010",
    }


async def test_what_several_gateways_let_go_is_one_waking() -> None:
    scene = await a_scene()
    for key in ("g", "h"):
        scene.says(2, key)
    scene.says(0, "g", released=2, waited_s=0.5)
    await scene.wakes.look()
    assert not scene.events

    scene.says(0, "h", released=2, waited_s=0.7)
    await scene.wakes.look()

    assert [event.details["requests"] for event in scene.events] == ["4"]
    assert scene.events[0].why.startswith("awake after 0.7 s")


async def test_waking_is_told_while_some_still_wait_and_not_again_for_them() -> None:
    scene = await a_scene()
    scene.says(5)
    scene.says(2, released=3, waited_s=1.0)
    scene.now = at(10)
    await scene.wakes.look()
    scene.says(0, released=5, waited_s=9.0)

    await scene.wakes.look()

    assert [event.details["requests"] for event in scene.events] == ["3"]


async def test_who_gives_up_waiting_wakes_nobody() -> None:
    scene = await a_scene()
    scene.says(5)
    scene.says(0, refused=5)

    await scene.wakes.look()

    assert not scene.events


async def test_what_a_gateway_counted_before_it_connected_is_no_waking() -> None:
    scene = await a_scene()

    scene.says(0, released=7, waited_s=3.0)
    await scene.wakes.look()

    assert not scene.events
