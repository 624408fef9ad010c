"""Answers of a service and of a mirror's target are compared, and only while that is asked for."""

import httpx

from easel.common.v1 import common_pb2
from tests.features.gateway.test_mirrors import mirror
from tests.support import bad_targets
from tests.support.gateway_harness import Harness, bearer, service, traffic
from tests.support.json_model import answering
from tests.support.waiting import until

ALL = 1_000_000


def found(gateway: Harness) -> common_pb2.Comparison:
    """What the gateway said last."""
    said = gateway.scheduler.heard.get("comparisons", [])
    return said[-1].comparisons[0] if said and said[-1].comparisons else common_pb2.Comparison()


async def test_a_difference_in_one_field_is_found(gateway: Harness) -> None:
    ours, theirs = {"label": "cat", "score": 0.5, "id": 1}, {"id": 1, "score": 0.5, "label": "dog"}
    async with answering(ours) as main, answering(theirs) as shadow:
        await gateway.serve(service("main", main, mirrors=[mirror(shadow, compare_ppm=ALL)]))

        async with traffic(f"{gateway.url}/api/predict/main/v1?key=secret", clients=1) as load:
            await until(lambda: found(gateway).pairs >= 5, "pairs to be compared")

    told = found(gateway)
    assert not load.failures
    assert (told.service, told.target) == ("main", "shadow")
    assert told.same_status == told.pairs
    assert (told.same_body, told.unanswered, told.not_compared) == (0, 0, 0)
    assert {tuple(each.differences) for each in told.differing} == {('$.label: "cat" → "dog"',)}
    assert {each.path for each in told.differing} == {"/v1"}


async def test_equal_answers_do_not_differ(gateway: Harness) -> None:
    async with answering({"a": [1, 2.0], "b": None}) as main, answering({"b": None, "a": [1.0, 2]}) as shadow:
        await gateway.serve(service("main", main, mirrors=[mirror(shadow, compare_ppm=ALL)]))

        async with traffic(f"{gateway.url}/api/predict/main", clients=1):
            await until(lambda: found(gateway).pairs >= 5, "pairs to be compared")

    told = found(gateway)
    assert told.same_body == told.same_status == told.pairs
    assert not told.differing


async def test_a_target_that_does_not_answer_is_counted_and_not_felt(gateway: Harness) -> None:
    async with answering({}) as main, bad_targets.never_answering() as shadow:
        target = mirror(shadow, compare_ppm=ALL, keepalive_ms=300)
        await gateway.serve(service("main", main, mirrors=[target]))

        async with traffic(f"{gateway.url}/api/predict/main", clients=1) as load:
            await until(lambda: found(gateway).unanswered >= 3, "questions to be given up")

    assert not load.failures


async def test_what_is_compared_no_more_is_told_no_more(gateway: Harness) -> None:
    async with answering({}) as main, answering({}) as shadow:
        await gateway.serve(service("main", main, mirrors=[mirror(shadow, compare_ppm=ALL)]))
        async with traffic(f"{gateway.url}/api/predict/main", clients=1):
            await until(lambda: found(gateway).pairs, "a pair to be compared")

            await gateway.serve(service("main", main, mirrors=[mirror(shadow)]))

            await until(
                lambda: not gateway.scheduler.heard["comparisons"][-1].comparisons, "it to be forgotten"
            )


async def test_requests_of_a_service_that_is_not_compared_are_never_recorded(gateway: Harness) -> None:
    async with answering({}) as main, answering({}) as shadow, answering({"other": 1}) as other:
        await gateway.serve(
            service("main", main, mirrors=[mirror(shadow, compare_ppm=ALL)]),
            service("other", other, mirrors=[mirror(shadow)]),
        )
        async with traffic(f"{gateway.url}/api/predict/other", clients=1) as load:
            await load.more(50)
            async with httpx.AsyncClient() as http:
                await http.post(f"{gateway.url}/api/predict/main", headers=bearer())

                async def compared() -> int:
                    await http.post(f"{gateway.url}/api/predict/main", headers=bearer())
                    return found(gateway).pairs

                await until(compared, "a pair to be compared")

    assert {each.service for said in gateway.scheduler.heard["comparisons"] for each in said.comparisons} == {
        "main"
    }
