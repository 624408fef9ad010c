"""Several services in one event loop: all of them, or none."""

import asyncio
from datetime import timedelta

import pytest

from cli.parts import Part, Patience, Run, run_parts
from libs.domain.errors import EaselError, Unavailable

QUICK = Patience(start=timedelta(seconds=5), stop=timedelta(seconds=5))


def a_part(name: str, ended: list[str], failing: Exception | None = None) -> Part:
    """Is ready at once; runs until it is asked to stop, or fails right after being ready."""

    async def run(stop: asyncio.Event, ready: asyncio.Event) -> None:
        ready.set()
        if failing is not None:
            raise failing
        await stop.wait()
        ended.append(name)

    return Part(name, lambda: run)


async def run_until_ready(*parts: Part, patience: Patience = QUICK) -> bool:
    """Runs the parts and asks them to stop when they are ready; whether they were."""
    stop, was_ready = asyncio.Event(), asyncio.Event()

    async def ready() -> None:
        was_ready.set()
        stop.set()

    await run_parts(parts, parts[::-1], stop, ready, patience)
    return was_ready.is_set()


async def test_parts_are_ended_in_the_given_order() -> None:
    ended: list[str] = []

    was_ready = await run_until_ready(*(a_part(name, ended) for name in ("first", "second", "third")))

    assert was_ready and ended == ["third", "second", "first"]


async def test_a_part_is_loaded_once_the_one_that_it_dials_is_ready() -> None:
    seen: list[bool] = []
    ended: list[str] = []
    scheduler = a_part("scheduler", ended)

    def load() -> Run:
        seen.append(scheduler.ready.is_set())
        return a_part("agent", ended).load()

    await run_until_ready(scheduler, Part("agent", load, after=scheduler))

    assert seen == [True] and ended == ["agent", "scheduler"]


async def test_a_part_does_not_depend_on_the_one_that_it_dials() -> None:
    begun = asyncio.Event()

    async def gets_ready_late(stop: asyncio.Event, ready: asyncio.Event) -> None:
        await begun.wait()
        ready.set()
        await stop.wait()

    async def run(stop: asyncio.Event, ready: asyncio.Event) -> None:
        begun.set()
        ready.set()
        await stop.wait()

    scheduler = Part("scheduler", lambda: gets_ready_late)
    short = Patience(start=timedelta(seconds=5), moment=timedelta(seconds=0.05))

    assert await run_until_ready(scheduler, Part("agent", lambda: run, after=scheduler), patience=short)


async def test_a_part_that_fails_ends_the_others_and_says_which_one_it_was() -> None:
    ended: list[str] = []
    broken = a_part("gateway", ended, failing=Unavailable("cannot listen on 127.0.0.1:1"))

    with pytest.raises(EaselError, match="the gateway ended: cannot listen on"):
        await run_until_ready(a_part("scheduler", ended), broken)

    assert ended == ["scheduler"]


async def test_a_failure_inside_a_group_of_tasks_is_told_as_itself() -> None:
    wrapped = ExceptionGroup("tasks", [ExceptionGroup("more", [Unavailable("the disk is full")])])

    with pytest.raises(EaselError, match="the agent ended: the disk is full"):
        await run_until_ready(a_part("agent", [], failing=wrapped))


async def test_a_part_that_cannot_be_loaded_ends_the_others() -> None:
    ended: list[str] = []

    def load() -> Run:
        raise EaselError("setting listen: nonsense")

    with pytest.raises(EaselError, match="the gateway ended: setting listen: nonsense"):
        await run_until_ready(a_part("scheduler", ended), Part("gateway", load))

    assert ended == ["scheduler"]


async def test_what_is_not_loaded_yet_never_begins_once_a_part_has_failed() -> None:
    loaded: list[str] = []

    def load() -> Run:
        raise EaselError("setting database_url: nonsense")

    def load_other() -> Run:
        loaded.append("other")
        return a_part("other", []).load()

    scheduler = Part("scheduler", load)
    others = [Part(name, load_other, after=scheduler) for name in ("gateway", "agent")]
    patient = Patience(start=timedelta(seconds=5), stop=timedelta(seconds=5), moment=timedelta(minutes=1))

    with pytest.raises(EaselError, match="the scheduler ended: setting database_url: nonsense"):
        await run_until_ready(scheduler, *others, patience=patient)

    assert loaded == []


async def test_a_part_that_ends_by_itself_is_a_failure() -> None:
    async def run(stop: asyncio.Event, ready: asyncio.Event) -> None:
        return

    with pytest.raises(EaselError, match="the agent ended by itself"):
        await run_until_ready(a_part("scheduler", []), Part("agent", lambda: run))


async def test_a_part_that_is_never_ready_is_named() -> None:
    async def run(stop: asyncio.Event, ready: asyncio.Event) -> None:
        await stop.wait()

    short = Patience(start=timedelta(seconds=0.1), stop=timedelta(seconds=5))
    with pytest.raises(EaselError, match=r"not ready after 0\.1 s: agent"):
        await run_until_ready(a_part("scheduler", []), Part("agent", lambda: run), patience=short)


async def test_a_part_that_does_not_end_is_cancelled() -> None:
    async def run(stop: asyncio.Event, ready: asyncio.Event) -> None:
        ready.set()
        await asyncio.Event().wait()

    stubborn = Part("agent", lambda: run)
    short = Patience(start=timedelta(seconds=5), stop=timedelta(seconds=0.1))

    assert await run_until_ready(stubborn, patience=short)
    assert stubborn.task is not None and stubborn.task.cancelled()
