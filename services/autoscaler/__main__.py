"""The autoscaler: looks at what services are asked for, and decides how many instances they have."""

import asyncio
import hmac
import time
from contextlib import AsyncExitStack
from datetime import timedelta
from functools import partial

from easel.autoscaler.v1 import autoscaler_pb2_grpc as rpc
from libs.domain.states import TokenRole
from libs.lifecycle import run_until_asked
from libs.rpc.client import dial
from libs.rpc.interceptors import guards
from libs.rpc.server import Service, serving
from libs.settings import settings_of
from libs.telemetry import logs
from libs.telemetry.reporting import Reporter, outage_of_metrics
from services.autoscaler.applying import Applying
from services.autoscaler.board import Board
from services.autoscaler.facts import Facts
from services.autoscaler.following import FollowingFacts, FollowingNumbers
from services.autoscaler.loop import Autoscaling
from services.autoscaler.observing import Numbers
from services.autoscaler.replay_servicer import ReplayServicer
from services.autoscaler.settings import Settings

REPLAYS = "easel.autoscaler.v1.ReplayService"


async def run(settings: Settings, stop: asyncio.Event, ready: asyncio.Event | None = None) -> None:
    """Decides until `stop`; sets `ready` when replays are answered. What is away is waited for."""
    admin, join = settings.tokens()
    facts, numbers, board = Facts(), Numbers(time.monotonic), Board()
    async with AsyncExitStack() as owned:
        scheduler = await owned.enter_async_context(dial(settings.scheduler, admin))
        metrics = await owned.enter_async_context(dial(settings.metrics, join))
        register = partial(rpc.add_ReplayServiceServicer_to_server, ReplayServicer())
        await owned.enter_async_context(
            serving(
                [Service(REPLAYS, register)],
                settings.listen,
                drain_for=timedelta(seconds=1),
                interceptors=guards(settings.listen, [REPLAYS], partial(_role_of, join)),
            )
        )
        scaling = Autoscaling(facts, numbers, Applying(scheduler, metrics).apply, board)
        outage = outage_of_metrics("autoscaler")
        following = FollowingNumbers(metrics, facts, numbers, scaling.batch_came, outage)
        reporter = Reporter(settings.metrics, join, "autoscaler", settings.name, board.samples, outage=outage)
        async with asyncio.TaskGroup() as loops:
            loops.create_task(FollowingFacts(scheduler, facts).run(until=stop))
            loops.create_task(following.run(until=stop))
            loops.create_task(scaling.run(until=stop, every=settings.look_every))
            loops.create_task(reporter.run(until=stop))
            if ready is not None:
                ready.set()
            await stop.wait()


def _role_of(join: str, secret: str) -> TokenRole | None:
    return TokenRole.JOIN if join and hmac.compare_digest(secret.encode(), join.encode()) else None


def main() -> None:
    settings = settings_of(Settings, "autoscaler")
    logs.configure(settings.log_level)
    run_until_asked(partial(run, settings))


if __name__ == "__main__":
    main()
