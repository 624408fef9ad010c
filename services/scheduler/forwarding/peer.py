"""Another service of Easel that answers calls which come in at the scheduler."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import grpc
import grpc.aio

from libs.domain.errors import DeadlineExceeded, EaselError, FailedPrecondition, Unauthenticated, Unavailable
from libs.rpc.client import dial
from libs.rpc.errors import DETAILS_KEY, easel_error
from services.scheduler.settings import Settings

Request = TypeVar("Request")
Response = TypeVar("Response")


@dataclass(frozen=True)
class Place:
    """Where a service is reached, and by which setting an operator says so."""

    service: str
    address: str
    setting: str
    # What to do while it is away.
    remedy: str


class Peer:
    """One service behind the scheduler. Nothing is connected before the first call; close it at the end."""

    def __init__(self, place: Place, join_token_file: Path, stop: asyncio.Event) -> None:
        self._place, self._token_file, self._stop = place, join_token_file, stop
        self._channel: grpc.aio.Channel | None = None

    async def close(self) -> None:
        if self._channel is not None:
            await self._channel.close()

    @property
    def channel(self) -> grpc.aio.Channel:
        """Where to call it. Raises `FailedPrecondition` when no address is set."""
        place = self._place
        if not place.address:
            raise FailedPrecondition(
                f"this scheduler does not know where the {place.service} service is: "
                f"set {place.setting} to its address"
            )
        if self._channel is None:
            self._channel = dial(place.address, self._token_file.read_text().strip())
        return self._channel

    async def call(
        self, method: grpc.aio.UnaryUnaryMultiCallable[Request, Response], request: Request, seconds: float
    ) -> Response:
        """The answer within `seconds`. Raises what the service refused, `Unavailable` while it is away."""
        try:
            return await method(request, timeout=seconds)
        except grpc.aio.AioRpcError as error:
            raise refusal(error, self._place) from error

    async def stream(
        self, method: grpc.aio.UnaryStreamMultiCallable[Request, Response], request: Request
    ) -> AsyncIterator[Response]:
        """Every message, until the service or the caller ends it or this process stops; raises as `call`.

        It has no deadline: a service that vanished is noticed by the keepalive of the connection.
        """
        call = method(request)
        stopped = asyncio.create_task(self._stop.wait())
        messages = aiter(call)
        try:
            while True:
                message = asyncio.ensure_future(anext(messages))
                await asyncio.wait((message, stopped), return_when=asyncio.FIRST_COMPLETED)
                if not message.done():
                    return
                yield await message
        except StopAsyncIteration:
            return
        except grpc.aio.AioRpcError as error:
            raise refusal(error, self._place) from error
        finally:
            stopped.cancel()
            call.cancel()


def peers(settings: Settings, stop: asyncio.Event) -> tuple[Peer, Peer]:
    """The metrics service and the autoscaler, as the settings name them."""
    places = (
        Place(
            "metrics",
            settings.metrics,
            "EASEL_SCHEDULER_METRICS",
            "see that `python -m services.metrics` runs",
        ),
        Place(
            "autoscaler",
            settings.autoscaler,
            "EASEL_SCHEDULER_AUTOSCALER",
            "see that `python -m services.autoscaler` runs",
        ),
    )
    metrics, autoscaler = (Peer(place, settings.join_token_file, stop) for place in places)
    return metrics, autoscaler


def refusal(error: grpc.aio.AioRpcError, place: Place) -> EaselError:
    """What the caller is told: the service's own refusal, or in what way it did not answer. Pure."""
    who = f"the {place.service} service at {place.address}"
    answered = any(key == DETAILS_KEY for key, _ in error.trailing_metadata() or ())
    refused = easel_error(error)
    if isinstance(refused, Unauthenticated):
        return FailedPrecondition(f"{who} does not take the join token of this scheduler: give both the same")
    if answered:
        return refused
    if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
        return DeadlineExceeded(f"{who} did not answer in time")
    if error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED, grpc.StatusCode.UNKNOWN):
        return Unavailable(f"{who} does not answer; {place.remedy}")
    if error.code() is grpc.StatusCode.UNIMPLEMENTED:
        return FailedPrecondition(f"{who} does not know this call: run the same release of both")
    return refused
