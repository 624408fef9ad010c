"""The loops by which a gateway speaks with the scheduler: the feed, and what reports through it."""

import asyncio
from functools import partial
from typing import Protocol

import grpc

from services.gateway.comparing.loop import Comparing
from services.gateway.condition import Conditions
from services.gateway.explaining import explained
from services.gateway.feed import Feed, Identity
from services.gateway.outbox import Outbox
from services.gateway.publisher import Publisher
from services.gateway.questions import Questions
from services.gateway.statistics.envoy_stats import Statistics
from services.gateway.statistics.token_reports import TokenReports
from services.gateway.statistics.tokens import counted_tokens
from services.gateway.statistics.traffic_reports import TrafficReports
from services.gateway.waiting.reports import WaitingReports
from services.gateway.waiting.room import WaitingRoom


class Loop(Protocol):
    """Runs until it is stopped."""

    async def run(self, until: asyncio.Event) -> None: ...


def conversation(
    channel: grpc.aio.Channel,
    identity: Identity,
    publisher: Publisher,
    conditions: Conditions,
    statistics: Statistics,
    admin: str,
    room: WaitingRoom,
) -> tuple[Loop, ...]:
    """Loops that share one outbox; all that any part of the gateway has to say goes through it.

    `admin` is the admin page of the Envoy that the gateway runs itself, empty where it runs none.
    """
    outbox = Outbox()
    publisher.on_applied, publisher.on_refused = outbox.applied, outbox.refused
    conditions.on_changed = outbox.status
    outbox.status(conditions.now)
    traffic = TrafficReports(statistics, outbox.put)
    questions = Questions(outbox, traffic, partial(explained, publisher, identity.name))
    tokens = TokenReports(statistics, outbox.put, partial(counted_tokens, publisher))
    waiting = WaitingReports(room, outbox.put)
    own = (Comparing(publisher, admin, outbox.put),) if admin else ()
    return Feed(channel, identity, publisher, outbox, questions), traffic, tokens, waiting, *own
