"""What a client is told when an instance is silent, away, or wrong; and what is left alone."""

import asyncio

from easel.gateway.v1 import gateway_pb2 as pb
from tests.support.free_ports import free_port
from tests.support.gateway_harness import EchoBackend, Harness, bearer, echo_backend, service, traffic
from tests.support.waiting import until


async def test_a_request_without_an_answer_for_the_keepalive_is_408(
    gateway: Harness, echo: EchoBackend
) -> None:
    await gateway.serve(service("svc", echo.port, keepalive_ms=200))

    answer = await gateway.http.post(f"{gateway.url}/api/predict/svc/silent", headers=bearer(), content=b"x")

    assert answer.status_code == 408
    assert answer.json() == {"code": 408, "message": "no answer within the service's metadata.rpc.keepalive"}
    assert len(echo.requests) == 1


async def test_a_stream_of_events_is_never_cut_by_the_keepalive(gateway: Harness, echo: EchoBackend) -> None:
    await gateway.serve(service("svc", echo.port, keepalive_ms=200))

    url = f"{gateway.url}/api/predict/svc/events/3/400"
    async with gateway.http.stream("GET", url, headers=bearer()) as answer:
        events = [line async for line in answer.aiter_lines() if line]

    assert events == ["data: 0", "data: 1", "data: 2"]


async def test_a_keepalive_of_zero_means_no_bound(gateway: Harness, echo: EchoBackend) -> None:
    await gateway.serve(service("svc", echo.port, keepalive_ms=0))

    asking = asyncio.create_task(gateway.http.get(f"{gateway.url}/api/predict/svc/silent", headers=bearer()))
    await until(lambda: echo.requests, "the request to arrive")
    echo.release.set()

    assert (await asking).status_code == 200


async def test_a_service_without_a_ready_instance_is_503_with_a_sentence(gateway: Harness) -> None:
    await gateway.serve(service("none"), service("never", backends=[]))

    for name in ("none", "never"):
        answer = await gateway.http.get(f"{gateway.url}/api/predict/{name}", headers=bearer())

        assert answer.status_code == 503
        assert answer.json()["message"].startswith("no healthy upstream: the service has no ready instance")
        assert (await gateway.http.get(f"{gateway.url}/api/predict/{name}")).status_code == 401


async def test_a_service_that_goes_away_is_404_and_may_come_back(gateway: Harness, echo: EchoBackend) -> None:
    url = f"{gateway.url}/api/predict/svc"
    await gateway.serve(service("svc", echo.port))

    await gateway.scheduler.until_applied(gateway.scheduler.remove("svc"))
    gone = await gateway.http.get(url, headers=bearer())
    await gateway.serve(service("svc", echo.port))
    back = await gateway.http.get(url, headers=bearer())

    assert (gone.status_code, back.status_code) == (404, 200)


async def test_what_a_model_answers_is_passed_on_and_takes_no_instance_out(
    gateway: Harness, echo: EchoBackend
) -> None:
    await gateway.serve(service("svc", echo.port))

    for code in [500] * 12 + [503, 404, 418, 200]:
        answer = await gateway.http.get(f"{gateway.url}/api/predict/svc/status/{code}", headers=bearer())

        assert answer.status_code == code
        assert answer.json()["backend"] == "echo"


async def test_an_instance_that_cannot_be_reached_costs_no_request(
    gateway: Harness, echo: EchoBackend
) -> None:
    await gateway.serve(service("svc", echo.port, free_port()))

    async with traffic(f"{gateway.url}/api/predict/svc") as seen:
        await seen.more(200)

    assert seen.failures == []


async def test_when_no_instance_can_be_reached_the_answer_is_503(gateway: Harness) -> None:
    await gateway.serve(service("svc", free_port()))

    answer = await gateway.http.get(f"{gateway.url}/api/predict/svc", headers=bearer())

    assert answer.status_code == 503
    assert answer.json()["message"].startswith("upstream connect error")


async def test_instances_come_and_go_under_load_without_a_failed_request(
    gateway: Harness, echo: EchoBackend
) -> None:
    await gateway.serve(service("svc", echo.port))

    async with traffic(f"{gateway.url}/api/predict/svc") as seen:
        for _ in range(5):
            async with echo_backend("passing") as passing:
                await gateway.serve(service("svc", echo.port, passing.port))
                await until(lambda at=passing: at.requests, "the new instance to be called")
                await gateway.serve(service("svc", echo.port))
                await seen.more(30)

    assert seen.failures == []


async def test_requests_go_to_versions_by_the_number_of_their_instances(
    gateway: Harness, echo: EchoBackend
) -> None:
    async with echo_backend("new") as new:
        old_ones = [pb.Endpoint(instance=str(at), address="127.0.0.1", port=echo.port) for at in (1, 2)]
        new_one = pb.Endpoint(instance="3", address="127.0.0.1", port=new.port)
        backends = [pb.Backend(version=1, endpoints=old_ones), pb.Backend(version=2, endpoints=[new_one])]
        await gateway.serve(service("svc", backends=backends))

        async with traffic(f"{gateway.url}/api/predict/svc") as seen:
            await seen.more(300)
            share = len(echo.requests) / len(new.requests)
            await gateway.serve(service("svc", backends=[pb.Backend(version=2, endpoints=[new_one])]))
            before = len(echo.requests)
            await seen.more(50)

    assert seen.failures == []
    assert 1.2 < share < 4
    assert len(echo.requests) <= before + 4
