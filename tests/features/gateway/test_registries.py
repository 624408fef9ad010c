"""Registries say where services are, as long as the gateway that says so is there."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest

from easel.gateway.v1 import gateway_pb2 as pb
from services.gateway.registry.registrar import Registrar
from services.gateway.routes import DirectEndpoint, Registration, Service
from tests.support.free_ports import free_port
from tests.support.gateway_harness import (
    ScriptedScheduler,
    gateway_process,
    scripted_scheduler,
    service,
    settings_for,
)
from tests.support.nacos_server import NacosServer, nacos_server
from tests.support.waiting import until

OWN = ("10.0.0.1", 8802)


@dataclass
class Known:
    """What a gateway knows, as a test says it."""

    services: dict[str, Service] = field(default_factory=dict)
    sequence: int = 0

    def say(self, *services: Service) -> None:
        self.services = {each.name: each for each in services}
        self.sequence += 1


def registered(
    url: str, weight: int = 1, user: str = "", password: str = "", name: str = "digits"
) -> Service:
    registration = Registration(
        "r-1", "nacos", url, name, namespace="prod", group="models", user=user, password=password
    )
    return Service("digits", direct=(DirectEndpoint(*OWN, weight),), registrations=(registration,))


@asynccontextmanager
async def registrar(known: Known, renew_every: timedelta = timedelta(seconds=0.3)) -> AsyncIterator[None]:
    stop = asyncio.Event()
    running = asyncio.create_task(Registrar(known, {OWN}, renew_every).run(stop))
    try:
        yield
    finally:
        stop.set()
        await asyncio.wait_for(running, 20)


def weights(server: NacosServer, name: str = "digits") -> list[float]:
    return [each["weight"] for each in server.instances(name, "models", "prod")]


async def test_an_instance_is_written_changed_and_taken_out() -> None:
    server, known = NacosServer(), Known()
    async with nacos_server(server) as url, registrar(known):
        known.say(registered(url, weight=2))
        await until(lambda: weights(server) == [2], "the instance")
        (instance,) = server.instances("digits", "models", "prod")
        known.say(registered(url, weight=5))
        await until(lambda: weights(server) == [5], "the other weight")
        known.say()
        await until(lambda: weights(server) == [], "it to be gone")

    assert (instance["ip"], instance["port"]) == OWN
    assert instance["ephemeral"]
    assert instance["metadata"]["easel.service"] == "digits"


async def test_a_gateway_that_ends_in_order_leaves_nothing_behind() -> None:
    server, known = NacosServer(), Known()
    async with nacos_server(server) as url:
        async with registrar(known):
            known.say(registered(url))
            await until(lambda: weights(server) == [1], "the instance")

        assert weights(server) == []


async def test_an_instance_outlives_its_expiry_by_its_beats() -> None:
    server, known = NacosServer(lag=2, expiry=2), Known()
    async with nacos_server(server) as url, registrar(known):
        known.say(registered(url))
        await until(lambda: weights(server) == [1], "the instance")
        written = server.beaten_at
        await until(lambda: server.beaten_at > written + server.expiry, "beats for longer than that")

        (instance,) = server.instances("digits", "models", "prod")

    assert instance["healthy"]
    assert "POST /nacos/v1/ns/instance" not in server.calls[1:]


async def test_a_registry_that_lost_everything_is_written_anew() -> None:
    server, known = NacosServer(), Known()
    async with nacos_server(server) as url, registrar(known):
        known.say(registered(url))
        await until(lambda: weights(server) == [1], "the instance")

        server.forget()

        await until(lambda: weights(server) == [1], "the instance to be there again")


async def test_a_registry_that_is_away_is_said_once_and_written_when_it_is_back(
    caplog: pytest.LogCaptureFixture,
) -> None:
    server, known, port = NacosServer(), Known(), free_port()
    caplog.set_level(logging.INFO, "services.gateway.registry")
    async with registrar(known):
        known.say(registered(f"http://127.0.0.1:{port}"))
        await until(lambda: len(caplog.records) == 1, "the outage to be said")
        async with nacos_server(server, port):
            await until(lambda: weights(server) == [1], "the instance")
            await until(lambda: len(caplog.records) == 2, "the end of the outage to be said")

    first, last, *_ = caplog.records
    assert first.levelno == logging.WARNING
    assert "cannot be reached" in first.why  # type: ignore[attr-defined]
    assert last.levelno == logging.INFO


async def test_a_registry_that_is_away_holds_up_no_other() -> None:
    server, known, nobody = NacosServer(), Known(), free_port()
    async with nacos_server(server) as url, registrar(known):
        here = registered(url)
        both = (registered(f"http://127.0.0.1:{nobody}").registrations[0], here.registrations[0])
        known.say(Service("digits", direct=here.direct, registrations=both))

        await until(lambda: weights(server) == [1], "the instance")


async def test_a_login_is_made_and_made_again_when_its_token_is_no_longer_known() -> None:
    server, known = NacosServer(users={"easel": "right"}), Known()
    async with nacos_server(server) as url, registrar(known):
        known.say(registered(url, user="easel", password="right"))
        await until(lambda: weights(server) == [1], "the instance")
        server.forget()
        known.say(registered(url, weight=3, user="easel", password="right"))
        await until(lambda: weights(server) == [3], "the other weight")

    assert server.logins == 2


async def test_a_wrong_password_is_said_without_being_shown(caplog: pytest.LogCaptureFixture) -> None:
    server, known = NacosServer(users={"easel": "right"}), Known()
    async with nacos_server(server) as url, registrar(known):
        known.say(registered(url, user="easel", password="mistaken"))
        await until(lambda: caplog.records, "the refusal to be said")

    why = caplog.records[0].why  # type: ignore[attr-defined]
    assert "refused the login of 'easel'" in why
    assert "mistaken" not in why
    assert weights(server) == []


async def test_an_entry_that_is_refused_holds_up_no_other() -> None:
    server, known = NacosServer(), Known()
    async with nacos_server(server) as url, registrar(known):
        heavy = registered(url, weight=20_000, name="heavy")
        known.say(
            registered(url), Service("other", (), direct=heavy.direct, registrations=heavy.registrations)
        )

        await until(lambda: weights(server) == [1], "the entry that is in order")

    assert weights(server, "heavy") == []


async def test_the_entry_of_a_gateway_that_is_killed_expires(tmp_path: Path) -> None:
    server, scheduler = NacosServer(lag=6, expiry=6), ScriptedScheduler()
    async with nacos_server(server) as url, scripted_scheduler(scheduler) as address:
        settings = settings_for(tmp_path, address, envoy=False)
        host, _, port = settings.listen.rpartition(":")
        scheduler.set(
            service(
                "digits",
                direct=[pb.DirectEndpoint(address=host, port=int(port), weight=3)],
                registrations=[
                    pb.Registration(
                        kind="nacos", url=url, service_name="digits", namespace="prod", group="models"
                    )
                ],
            )
        )
        async with gateway_process(settings) as process:
            await until(lambda: weights(server) == [3], "the instance")
            process.kill()
            await process.wait()

            assert weights(server) == [3]
            await until(lambda: weights(server) == [], "the instance to expire")
