"""MetricsService: numbers now, over time, and as they come."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterable
from datetime import timedelta
from math import ceil
from typing import Any, TypeAlias

import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from easel.metrics.v1 import metrics_pb2 as pb
from easel.metrics.v1 import metrics_pb2_grpc as rpc
from libs.domain.errors import InvalidRequest, Unavailable
from libs.lifecycle import pause
from services.metrics.history import MINUTE_S, History
from services.metrics.measures import LONGEST_S, Kind, check_window, parse_kind, parse_measure
from services.metrics.queries import Asked, Number, numbers, step_for, steps
from services.metrics.reading import Look
from services.metrics.samples import Samples
from services.metrics.store import Store

Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]
_MOST_SELECTORS = 100
_MOST_POINTS = 3600
_EVERY_S = 1.0
# So long after Envoy's push it is taken in.
_TAKEN_IN_S = 0.05


class MetricsServicer(rpc.MetricsServiceServicer):
    def __init__(self, store: Store, samples: Samples, history: History, stop: asyncio.Event) -> None:
        self._store, self._samples, self._history, self._stop = store, samples, history, stop

    async def Instant(self, request: pb.InstantRequest, context: Context) -> pb.InstantResponse:
        return self._answer(asked_for(request.selectors))

    async def Range(self, request: pb.RangeRequest, context: Context) -> pb.RangeResponse:
        asked = asked_of(request.selector, "selector")
        check_range(request, longest_of(asked.kind, self._history))
        found = await (self._minutes if request.last_s > LONGEST_S else self._windows)(asked, request)
        return pb.RangeResponse(
            series=[
                pb.Series(measure=asked.measure.text, kind=asked.kind, subject=subject, points=points)
                for subject, points in sorted(found.items())
            ]
        )

    async def _windows(self, asked: Asked, request: pb.RangeRequest) -> dict[str, list[pb.Point]]:
        found: dict[str, list[pb.Point]] = {}
        for at, told in steps(asked, request.last_s, request.step_s, Look(self._store), self._samples):
            for number in told:
                found.setdefault(number.subject, []).append(pb.Point(at=stamp(at), value=number.value))
            # What comes in meanwhile is taken in: of many services and steps this takes a while.
            await asyncio.sleep(0)
        return found

    async def _minutes(self, asked: Asked, request: pb.RangeRequest) -> dict[str, list[pb.Point]]:
        step = step_for(request.last_s, request.step_s) // MINUTE_S
        # Whole steps, so that a later look finds the same ones.
        until = int(self._store.now()) // MINUTE_S // step * step
        since = until - ceil(request.last_s / MINUTE_S / step) * step
        measure = asked.measure
        thousandth = measure.name == "qps1k"
        name = "qps" if thousandth else measure.full
        try:
            read = await asyncio.to_thread(self._history.read, name, asked.subjects, since, until, step)
        except (sqlite3.Error, OSError) as refused:
            raise Unavailable(f"what is longer ago than an hour cannot be read: {refused}") from refused
        found: dict[str, list[pb.Point]] = {}
        for service, end, value in read:
            point = pb.Point(at=stamp(end * MINUTE_S), value=1000 * value if thousandth else value)
            found.setdefault(service, []).append(point)
        return found

    async def Watch(self, request: pb.WatchRequest, context: Context) -> AsyncIterator[pb.InstantResponse]:
        asked = asked_for(request.selectors)
        due = self._store.now()
        while not self._stop.is_set():
            yield self._answer(asked)
            now = self._store.now()
            due = next_look(due, max(self._store.envoys.values(), default=0.0), now)
            await pause(self._stop, timedelta(seconds=due - now))

    def _answer(self, asked: list[Asked]) -> pb.InstantResponse:
        look = Look(self._store)
        return pb.InstantResponse(
            at=stamp(look.at),
            values=[
                value_to_proto(each, number)
                for each in asked
                for number in numbers(each, look, self._samples)
            ],
        )


def asked_for(selectors: Iterable[pb.Selector]) -> list[Asked]:
    """What selectors ask for. Raises `InvalidRequest`."""
    asked = [asked_of(each, f"selectors[{number}]") for number, each in enumerate(selectors)]
    if not 1 <= len(asked) <= _MOST_SELECTORS:
        raise InvalidRequest("selectors", len(asked), f"1 to {_MOST_SELECTORS} of them")
    return asked


def asked_of(selector: pb.Selector, field: str) -> Asked:
    """What one selector asks for. Raises `InvalidRequest`."""
    kind = parse_kind(selector.kind, f"{field}.kind")
    measure = parse_measure(selector.measure, kind, f"{field}.measure")
    check_window(selector.window_s, f"{field}.window_s")
    if selector.of_service and kind is not Kind.INSTANCE:
        raise InvalidRequest(f"{field}.of_service", selector.of_service, f"nothing with kind {kind}")
    subjects = frozenset(selector.subjects)
    return Asked(measure, kind, subjects, selector.of_service, selector.window_s)


def longest_of(kind: Kind, history: History) -> int:
    """How many seconds ago numbers of a kind may be asked for."""
    return max(LONGEST_S, history.minutes * MINUTE_S) if kind is Kind.SERVICE else LONGEST_S


def check_range(request: pb.RangeRequest, longest: int) -> None:
    """Raises `InvalidRequest` for more than is kept, or than anybody can look at."""
    check_window(request.last_s, "last_s", least=1, most=longest)
    check_window(request.step_s, "step_s", most=longest)
    if request.last_s > LONGEST_S and request.step_s % MINUTE_S:
        raise InvalidRequest("step_s", request.step_s, f"whole minutes for what is longer than {LONGEST_S} s")
    if request.last_s / step_for(request.last_s, request.step_s) > _MOST_POINTS:
        raise InvalidRequest("step_s", request.step_s, f"a step that makes {_MOST_POINTS} points at most")


def next_look(last: float, pushed: float, now: float) -> float:
    """When to look again: a second later, just after an Envoy's push where one comes every second. Pure."""
    due = max(last + _EVERY_S, now)
    if now - pushed > 2 * _EVERY_S:
        return due
    phase = (due - (pushed + _TAKEN_IN_S)) % _EVERY_S
    # To the nearest moment after a push, so that no second is left out for a push that came a bit late.
    return max(due - phase if phase < _EVERY_S / 2 else due + _EVERY_S - phase, now + _EVERY_S / 4)


def value_to_proto(asked: Asked, number: Number) -> pb.Value:
    return pb.Value(
        measure=asked.measure.text,
        kind=asked.kind,
        subject=number.subject,
        window_s=asked.seconds,
        value=number.value,
        age_s=number.age,
        instances=number.instances,
    )


def stamp(at: float) -> Timestamp:
    made = Timestamp()
    made.FromMicroseconds(round(at * 1_000_000))
    return made
