"""What a store promises, on whichever engine it is."""

import asyncio
from dataclasses import fields, replace

import pytest

from libs.db.changes import Changes, Contents, Record
from libs.db.store import Store, open_store
from libs.domain.errors import AlreadyExists, Conflict, FailedPrecondition, InvalidRequest
from tests.contract.db.records import ALL, EVENT, INSTANCE, NODE, SERVICE, VERSION


async def stored(store: Store) -> list[Record]:
    contents = await store.load()
    return [record for each in fields(Contents) for record in getattr(contents, each.name)]


async def test_what_was_committed_is_loaded_field_by_field(store: Store) -> None:
    written = await store.commit(Changes(put=ALL))

    assert written.put == tuple(replace(record, revision=1) for record in ALL)
    assert await stored(store) == list(written.put)


async def test_what_was_committed_is_there_after_opening_again(url: str) -> None:
    async with open_store(url) as store:
        written = await store.commit(Changes(put=ALL, events=(EVENT,)))

    async with open_store(url) as store:
        assert await stored(store) == list(written.put)
        assert await store.events() == written.events


async def test_what_programs_write_is_kept_whatever_characters_are_in_it(url: str) -> None:
    why = "answered 500: \0\x01\u2028 \U0001f600"
    async with open_store(url) as store:
        await store.commit(Changes(put=(replace(INSTANCE, why=why),), events=(replace(EVENT, why=why),)))
        assert await store.events(subject="\0") == ()

    kept = why.replace("\0", "\N{REPLACEMENT CHARACTER}")
    async with open_store(url) as store:
        assert [i.why for i in (await store.load()).instances] == [kept]
        assert [event.why for event in await store.events()] == [kept]


async def test_every_write_of_a_record_makes_its_revision_grow_by_one(store: Store) -> None:
    first = await store.commit(Changes(put=(SERVICE,)))

    second = await store.commit(Changes(put=(replace(first.put[0], wanted=9),)))

    assert second.put == (replace(SERVICE, wanted=9, revision=2),)
    assert await stored(store) == list(second.put)


@pytest.mark.parametrize("record", ALL, ids=lambda record: type(record).__name__)
async def test_a_write_from_a_revision_that_is_not_the_newest_is_refused_as_a_whole(
    store: Store, record: Record
) -> None:
    first = (await store.commit(Changes(put=(record,)))).put[0]
    newest = (await store.commit(Changes(put=(first,)))).put[0]
    other = replace(SERVICE, name="other")

    with pytest.raises(Conflict, match="is at revision 2, the change was computed from 1"):
        await store.commit(Changes(put=(other, first), events=(EVENT,)))
    with pytest.raises(Conflict, match="is at revision 2"):
        await store.commit(Changes(delete=(first,)))

    assert await stored(store) == [newest]
    assert await store.events() == ()


async def test_a_refusal_names_the_record(store: Store) -> None:
    with pytest.raises(Conflict, match="service version web/3 is not stored"):
        await store.commit(Changes(put=(replace(VERSION, revision=1),)))
    with pytest.raises(Conflict, match="instance web-1 is not stored"):
        await store.commit(Changes(delete=(replace(INSTANCE, revision=4),)))


async def test_a_new_record_whose_key_is_taken_is_refused(store: Store) -> None:
    await store.commit(Changes(put=(SERVICE,)))

    with pytest.raises(AlreadyExists, match="service web exists already"):
        await store.commit(Changes(put=(replace(SERVICE, id="s-2"), NODE)))

    assert [type(record).__name__ for record in await stored(store)] == ["Service"]


async def test_a_deleted_record_is_gone_and_its_key_is_free(store: Store) -> None:
    written = await store.commit(Changes(put=ALL))

    await store.commit(Changes(delete=written.put))
    assert await stored(store) == []
    again = await store.commit(Changes(put=(SERVICE, NODE)))

    assert await stored(store) == list(again.put)


async def test_a_record_can_be_deleted_and_made_anew_in_one_go(store: Store) -> None:
    old = (await store.commit(Changes(put=(SERVICE,)))).put[0]

    written = await store.commit(Changes(put=(replace(SERVICE, id="s-2"),), delete=(old,)))

    assert await stored(store) == [replace(SERVICE, id="s-2", revision=1)] == list(written.put)


async def test_a_nodes_gpus_are_those_of_its_newest_write(store: Store) -> None:
    node = (await store.commit(Changes(put=(NODE, replace(NODE, name="n2"))))).put[0]
    assert node == replace(NODE, revision=1)

    await store.commit(Changes(put=(replace(node, gpus=NODE.gpus[1:]),)))

    assert [len(each.gpus) for each in (await store.load()).nodes] == [1, 2]


async def test_two_changes_of_one_record_at_the_same_time_have_one_winner(store: Store) -> None:
    base = (await store.commit(Changes(put=(SERVICE,)))).put[0]
    rivals = [
        Changes(put=(replace(base, wanted=n),), events=(replace(EVENT, why=f"{n}"),)) for n in range(20)
    ]

    outcomes = await asyncio.gather(*map(store.commit, rivals), return_exceptions=True)

    won = [outcome for outcome in outcomes if isinstance(outcome, Changes)]
    assert len(won) == 1
    assert sum(isinstance(outcome, Conflict) for outcome in outcomes) == 19
    assert await stored(store) == list(won[0].put)
    assert await store.events() == won[0].events


async def test_changes_that_wait_together_each_have_their_own_outcome(store: Store) -> None:
    await store.commit(Changes(put=(replace(SERVICE, name="s10"),)))
    asked = [Changes(put=(replace(SERVICE, name=f"s{n:02}"),), events=(EVENT,)) for n in range(40)]

    outcomes = await asyncio.gather(*map(store.commit, asked), return_exceptions=True)

    assert [isinstance(outcome, AlreadyExists) for outcome in outcomes] == [n == 10 for n in range(40)]
    ids = [outcome.events[0].id for outcome in outcomes if isinstance(outcome, Changes)]
    assert ids == sorted(set(ids))
    assert len((await store.load()).services) == 40


async def test_a_change_that_cannot_be_written_does_not_spoil_those_waiting_with_it(store: Store) -> None:
    impossible = Changes(put=(replace(SERVICE, name="huge", wanted=1 << 70),))
    asked = [Changes(put=(replace(SERVICE, name=name),)) for name in ("a", "b")]

    outcomes = await asyncio.gather(
        store.commit(asked[0]), store.commit(impossible), store.commit(asked[1]), return_exceptions=True
    )

    assert [isinstance(outcome, Changes) for outcome in outcomes] == [True, False, True]
    assert [service.name for service in (await store.load()).services] == ["a", "b"]


async def test_one_who_stops_waiting_leaves_the_others_alone(store: Store) -> None:
    tasks = [
        asyncio.create_task(store.commit(Changes(put=(replace(SERVICE, name=f"s{n}"),)))) for n in range(9)
    ]
    tasks[4].cancel()

    outcomes = await asyncio.gather(*tasks, return_exceptions=True)

    assert sum(isinstance(outcome, Changes) for outcome in outcomes) == 8


async def test_what_was_asked_for_before_closing_is_written(url: str) -> None:
    async with open_store(url) as store:
        tasks = [
            asyncio.create_task(store.commit(Changes(put=(replace(SERVICE, name=f"s{n}"),))))
            for n in range(9)
        ]
        await asyncio.sleep(0)

    assert all(isinstance(outcome, Changes) for outcome in await asyncio.gather(*tasks))
    async with open_store(url) as store:
        assert len((await store.load()).services) == 9


async def test_a_large_change_is_one_change(store: Store) -> None:
    put = tuple(replace(INSTANCE, id=f"i{n:05}") for n in range(5_000))

    written = await store.commit(Changes(put=put))
    again = await store.commit(Changes(put=written.put))

    assert (await store.load()).instances == again.put
    assert {record.revision for record in again.put} == {2}


async def test_events_come_newest_first_and_in_pages(store: Store) -> None:
    for n in range(7):
        await store.commit(Changes(events=(replace(EVENT, why=f"{n}"),)))

    newest = await store.events(limit=3)
    older = await store.events(limit=3, before_id=newest[-1].id)
    oldest_first = await store.events(limit=2, after_id=older[-1].id)

    assert [event.why for event in newest + older] == ["6", "5", "4", "3", "2", "1"]
    assert [event.why for event in oldest_first] == ["2", "3"]


async def test_events_are_found_by_service_and_by_subject(store: Store) -> None:
    mine = replace(EVENT, service="mine", subject="mine-1")
    await store.commit(Changes(events=(EVENT, mine, replace(mine, subject="mine-2"))))

    assert len(await store.events(service="mine")) == 2
    assert [event.subject for event in await store.events(subject="mine-2")] == ["mine-2"]
    assert await store.events(service="web", subject="mine-2") == ()


async def test_the_newest_events_of_many_services_are_found_in_one_reading(store: Store) -> None:
    told = [replace(EVENT, service=f"s{n % 3}", reason="Scaled", why=f"{n}") for n in range(9)]
    await store.commit(Changes(events=(*told, replace(told[0], reason="Woke"))))

    newest = await store.newest_events(["s0", "s1", *(f"none-{n}" for n in range(1000))], "Scaled")

    assert {service: event.why for service, event in newest.items()} == {"s0": "6", "s1": "7"}
    assert await store.newest_events([], "Scaled") == {}


async def test_old_events_go_and_their_ids_are_not_given_again(store: Store) -> None:
    written = await store.commit(Changes(events=(EVENT,) * 10))

    assert await store.prune_events(keep=3) == 7
    assert await store.events() == tuple(reversed(written.events[7:]))
    assert await store.prune_events(keep=0) == 3
    assert await store.prune_events(keep=5) == 0

    assert (await store.commit(Changes(events=(EVENT,)))).events[0].id == written.events[-1].id + 1


async def test_a_counter_never_gives_a_number_twice(url: str) -> None:
    async with open_store(url) as store:
        numbers = await asyncio.gather(*(store.next("epoch") for _ in range(50)))
        block = await store.next("epoch", by=10)
        other = await store.next("generation")

    async with open_store(url) as store:
        after = await store.next("epoch")

    assert sorted(numbers) == list(range(1, 51))
    assert (block, other, after) == (60, 1, 61)
    async with open_store(url) as store:
        with pytest.raises(InvalidRequest):
            await store.next("epoch", by=0)


async def test_a_second_scheduler_is_refused_while_the_first_has_the_database(url: str) -> None:
    async with open_store(url) as first:
        with pytest.raises(FailedPrecondition, match="in use by another scheduler"):
            async with open_store(url):
                pass
        await first.commit(Changes(put=(SERVICE,)))

    async with open_store(url) as second:
        assert len(await stored(second)) == 1


async def test_an_empty_change_writes_nothing(store: Store) -> None:
    assert await store.commit(Changes()) == Changes()


@pytest.mark.parametrize("given", ["mysql://db/easel", "sqlite://", "nonsense"])
async def test_a_url_of_another_kind_is_refused(given: str) -> None:
    with pytest.raises(InvalidRequest, match="database_url"):
        async with open_store(given):
            pass
