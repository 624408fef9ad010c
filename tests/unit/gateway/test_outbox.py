"""What a gateway says, whichever connection takes it along."""

import asyncio
from collections.abc import AsyncIterator

from easel.gateway.v1 import gateway_pb2 as pb
from services.gateway.ads.messages import Refusal
from services.gateway.condition import Condition
from services.gateway.outbox import Outbox


async def taken(connection: AsyncIterator[pb.ConnectRequest], count: int) -> list[pb.ConnectRequest]:
    return [await asyncio.wait_for(anext(connection), 5) for _ in range(count)]


def kinds(messages: list[pb.ConnectRequest]) -> list[str | None]:
    return [each.WhichOneof("message") for each in messages]


def traffic(why: str) -> pb.ConnectRequest:
    return pb.ConnectRequest(traffic=pb.TrafficReport(why=why))


async def test_a_level_stands_for_the_older_ones_that_wait() -> None:
    outbox = Outbox()
    connection = outbox.connected()

    outbox.applied(1, 1)
    outbox.put(traffic("first"))
    outbox.refused(1, Refusal("type", ("name",), "why"))
    outbox.applied(2, 1)
    outbox.put(traffic("second"))

    refused, applied, report = await taken(connection, 3)
    assert refused.refused.message == "why"
    assert applied.applied.generation == 2
    assert report.traffic.why == "second"


async def test_every_refusal_and_every_answer_is_sent() -> None:
    outbox = Outbox()
    connection = outbox.connected()

    for number in range(3):
        outbox.refused(number, Refusal("type", ("name",), "why"))
        outbox.put(pb.ConnectRequest(explained=pb.Explained(id=str(number))))

    assert kinds(await taken(connection, 6)) == ["refused", "explained"] * 3


async def test_a_new_connection_begins_with_what_is_still_true() -> None:
    outbox = Outbox()
    outbox.status(Condition(why="no room"))
    outbox.applied(7, 1)
    first = outbox.connected()
    assert kinds(await taken(first, 1)) == ["status"]

    outbox.applied(8, 1)
    outbox.put(pb.ConnectRequest(token_uses=pb.TokenUses()))
    second = outbox.connected()

    assert kinds(await taken(second, 2)) == ["status", "token_uses"]


def a_use(token: str, second: int) -> pb.ConnectRequest:
    message = pb.ConnectRequest(token_uses=pb.TokenUses())
    message.token_uses.uses.add(token_id=token).at.FromSeconds(second)
    return message


async def test_uses_of_tokens_wait_as_one_message_however_long_the_scheduler_is_away() -> None:
    outbox = Outbox()
    for second in range(100):
        outbox.put(a_use("a", second))
    outbox.put(a_use("b", 3))

    (told,) = await taken(outbox.connected(), 1)

    assert [(use.token_id, use.at.seconds) for use in told.token_uses.uses] == [("a", 99), ("b", 3)]


async def test_what_belongs_to_a_connection_is_not_kept_while_there_is_none() -> None:
    outbox = Outbox()
    connection = outbox.connected()
    outbox.disconnected()

    outbox.refused(1, Refusal("type", ("name",), "why"))
    outbox.applied(1, 1)

    assert kinds(await taken(connection, 1)) == ["applied"]


async def test_a_connection_that_was_followed_by_another_gets_nothing_more() -> None:
    outbox = Outbox()
    old = outbox.connected()
    waiting = asyncio.ensure_future(anext(old, None))
    await asyncio.sleep(0)

    new = outbox.connected()
    outbox.applied(1, 1)

    assert kinds(await taken(new, 1)) == ["applied"]
    assert await asyncio.wait_for(waiting, 5) is None


def test_every_message_of_a_gateway_but_its_hello_can_be_put() -> None:
    outbox = Outbox()

    for kind in {*pb.ConnectRequest.DESCRIPTOR.fields_by_name} - {"hello"}:
        message = pb.ConnectRequest()
        getattr(message, kind).SetInParent()
        outbox.put(message)
