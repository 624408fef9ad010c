"""Domains with TLS: certificates of the feed and of files, changed while clients come and go."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cryptography import x509

from easel.gateway.v1 import gateway_pb2 as pb
from tests.support.certificates import Authority, Signed
from tests.support.explained import explained
from tests.support.free_ports import free_port
from tests.support.gateway_harness import (
    EchoBackend,
    Harness,
    ScriptedScheduler,
    bearer,
    harness,
    running_gateway,
    scripted_scheduler,
    service,
    settings_for,
)
from tests.support.waiting import until

DOMAIN = "models.example.org"


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


def a_domain(signed: Signed, name: str = DOMAIN) -> pb.Domain:
    return pb.Domain(name=name, certificate=signed.certificate, key=signed.key)


def for_all(authority: Authority, name: str = DOMAIN) -> Signed:
    return authority.signed(name, f"*.{name}")


async def asked(
    port: int, authority: Authority, host: str, path: str = "/api/predict/svc"
) -> tuple[int, int, str]:
    """A request over a connection of its own: its status, the certificate's serial number, the body."""
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", port, ssl=authority.context(), server_hostname=host
    )
    token = bearer()["Authorization"]
    writer.write(
        f"GET {path} HTTP/1.1\r\nhost: {host}\r\nauthorization: {token}\r\nconnection: close\r\n\r\n".encode()
    )
    answer = (await reader.read()).decode()
    serial = _serial(writer)
    writer.close()
    with contextlib.suppress(ssl.SSLError, ConnectionError):
        await writer.wait_closed()
    return int(answer.split(" ")[1]), serial, answer.partition("\r\n\r\n")[2]


def _serial(writer: asyncio.StreamWriter) -> int:
    shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    return x509.load_der_x509_certificate(shown).serial_number


async def until_shown(port: int, authority: Authority, signed: Signed) -> None:
    async def shown() -> bool:
        with contextlib.suppress(OSError):
            return (await asked(port, authority, DOMAIN))[1] == signed.serial
        return False

    await until(shown, "the certificate to be shown")


async def test_a_domain_with_a_certificate_serves_by_path_and_by_host_name(
    gateway: Harness, echo: EchoBackend, authority: Authority
) -> None:
    port, signed = free_port(), for_all(authority)
    await gateway.serve(service("svc", echo.port))

    await gateway.configure(tls_port=port, domains=[a_domain(signed)])

    await until_shown(port, authority, signed)
    by_path = await asked(port, authority, DOMAIN)
    by_host = await asked(port, authority, f"svc.{DOMAIN}", "/x")
    plain = await gateway.http.get(f"{gateway.url}/x", headers=bearer() | {"host": f"svc.{DOMAIN}"})
    assert (by_path[0], by_host[0], plain.status_code) == (200, 200, 200)
    assert '"x-forwarded-proto": "https"' in by_path[2]
    assert [each.domain for each in gateway.scheduler.status.certificates] == [DOMAIN]


async def test_each_domain_shows_its_own_certificate_and_other_names_are_turned_away(
    gateway: Harness, echo: EchoBackend, authority: Authority
) -> None:
    port, first, second = free_port(), for_all(authority), for_all(authority, "other.example.org")
    await gateway.serve(service("svc", echo.port))
    domains = [a_domain(first), a_domain(second, "other.example.org")]

    await gateway.configure(tls_port=port, domains=domains)

    await until_shown(port, authority, first)
    assert (await asked(port, authority, "other.example.org"))[1] == second.serial
    with pytest.raises((OSError, ssl.SSLError)):
        await asked(port, authority, "unknown.example.org")


async def test_both_versions_of_http_are_spoken(
    gateway: Harness, echo: EchoBackend, authority: Authority
) -> None:
    port, signed = free_port(), for_all(authority)
    await gateway.serve(service("svc", echo.port))
    await gateway.configure(tls_port=port, domains=[a_domain(signed)])
    await until_shown(port, authority, signed)
    context = authority.context()
    context.set_alpn_protocols(["h2", "http/1.1"])

    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=DOMAIN)

    assert writer.get_extra_info("ssl_object").selected_alpn_protocol() == "h2"
    assert writer.get_extra_info("ssl_object").version() == "TLSv1.3"
    writer.close()


async def test_plain_requests_are_sent_to_the_port_with_tls(
    gateway: Harness, echo: EchoBackend, authority: Authority
) -> None:
    port, signed = free_port(), for_all(authority)
    await gateway.serve(service("svc", echo.port))

    await gateway.configure(tls_port=port, domains=[a_domain(signed)], redirect_https=True)

    await until_shown(port, authority, signed)

    async def redirected() -> str:
        answer = await gateway.http.post(
            f"{gateway.url}/api/predict/svc/x?a=b", headers={"host": DOMAIN}, follow_redirects=False
        )
        return answer.headers["location"] if answer.status_code == 308 else ""

    assert await until(redirected, "a redirect") == f"https://{DOMAIN}:{port}/api/predict/svc/x?a=b"
    # Who asks for the places of a service follows no redirect.
    places = await gateway.http.get(
        f"{gateway.url}/api/v1/servicediscovery/upstreams/svc", headers={"host": DOMAIN}
    )
    assert places.status_code == 200 and "endpoints" in places.json()
    assert (await explained(gateway, scheme="http")).status == 308
    assert (await explained(gateway, scheme="https")).status == 0


@dataclass
class Handshakes:
    """Connections one after another while a block runs: how many, by which certificate, and what failed."""

    serials: list[int] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    async def more(self, count: int = 20) -> None:
        goal = len(self.serials) + count
        await until(lambda: len(self.serials) >= goal or self.failures, f"{count} more handshakes")


@asynccontextmanager
async def handshakes(port: int, authority: Authority, clients: int = 3) -> AsyncIterator[Handshakes]:
    seen, stop = Handshakes(), asyncio.Event()

    async def call() -> None:
        while not stop.is_set():
            try:
                status, serial, body = await asked(port, authority, DOMAIN)
            except OSError as error:
                seen.failures.append(repr(error))
                continue
            seen.serials.append(serial)
            if status != 200:
                seen.failures.append(f"{status}: {body}")

    tasks = [asyncio.create_task(call()) for _ in range(clients)]
    try:
        yield seen
    finally:
        stop.set()
        await asyncio.gather(*tasks)


async def test_a_certificate_of_the_feed_is_replaced_without_a_failed_handshake_or_a_closed_connection(
    gateway: Harness, echo: EchoBackend, authority: Authority
) -> None:
    port, pairs = free_port(), [for_all(authority) for _ in range(4)]
    await gateway.serve(service("svc", echo.port))
    await gateway.configure(tls_port=port, domains=[a_domain(pairs[0])])
    await until_shown(port, authority, pairs[0])
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", port, ssl=authority.context(), server_hostname=DOMAIN
    )

    async with handshakes(port, authority) as seen:
        for pair in pairs[1:]:
            await seen.more()
            gateway.scheduler.configure(tls_port=port, domains=[a_domain(pair)])
            await until(lambda pair=pair: pair.serial in seen.serials or seen.failures, "the new certificate")
        await seen.more()

    assert seen.failures == []
    writer.write(f"GET / HTTP/1.1\r\nhost: {DOMAIN}\r\n\r\n".encode())
    assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 404")
    writer.close()


async def test_a_certificate_in_files_is_followed_without_a_failed_handshake(
    gateway: Harness, echo: EchoBackend, authority: Authority, tmp_path: Path
) -> None:
    port, old, new = free_port(), for_all(authority), for_all(authority)
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    certificate.write_text(old.certificate)
    key.write_text(old.key)
    await gateway.serve(service("svc", echo.port))
    domain = pb.Domain(name=DOMAIN, certificate_file=str(certificate), key_file=str(key))
    await gateway.configure(tls_port=port, domains=[domain])
    await until_shown(port, authority, old)

    async with handshakes(port, authority) as seen:
        key.write_text(new.key)
        await until(lambda: gateway.scheduler.status.why, "the key that does not fit to be said")
        certificate.write_text(new.certificate)
        await until(lambda: new.serial in seen.serials or seen.failures, "the new certificate")
        await seen.more()

    assert seen.failures == []
    assert set(seen.serials) == {old.serial, new.serial}
    await until(lambda: not gateway.scheduler.status.why, "all to be well")


async def test_what_is_wrong_with_a_certificate_is_said_and_the_last_good_one_stays(
    tmp_path: Path, echo: EchoBackend, authority: Authority
) -> None:
    port, good, other = free_port(), for_all(authority), for_all(authority)
    mixed = pb.Domain(name=DOMAIN, certificate=good.certificate, key=other.key)
    missing = pb.Domain(name=DOMAIN, certificate_file="/nowhere/cert.pem", key_file="/nowhere/key.pem")
    broken = pb.Domain(name=DOMAIN, certificate="hello", key="hello")
    async with harness(tmp_path) as gateway:
        await gateway.serve(service("svc", echo.port))
        await gateway.configure(tls_port=port, domains=[a_domain(good)])
        await until_shown(port, authority, good)

        for bad, why in (
            (mixed, "key: got 'one of another certificate', expected the key of the certificate"),
            (missing, "file /nowhere/cert.pem cannot be read: No such file or directory"),
            (broken, "certificate: got 'text that is no PEM', expected a PEM certificate"),
        ):
            await gateway.configure(tls_port=port, domains=[bad])
            await until(lambda why=why: why in gateway.scheduler.status.why, why)
            assert why in gateway.scheduler.status.certificates[0].why
            assert gateway.scheduler.status.certificates[0].HasField("not_after")
            assert (await asked(port, authority, DOMAIN))[:2] == (200, good.serial)


async def test_the_certificates_in_force_survive_a_restart_without_their_files(
    tmp_path: Path, echo: EchoBackend, authority: Authority
) -> None:
    port, signed = free_port(), for_all(authority)
    files = tmp_path / "cert.pem", tmp_path / "key.pem"
    files[0].write_text(signed.certificate)
    files[1].write_text(signed.key)
    domain = pb.Domain(name=DOMAIN, certificate_file=str(files[0]), key_file=str(files[1]))
    scheduler = ScriptedScheduler()
    scheduler.set(service("svc", echo.port))
    scheduler.configure(tls_port=port, domains=[domain])
    async with scripted_scheduler(scheduler) as address:
        settings = settings_for(tmp_path / "data", address)
        async with running_gateway(settings):
            await until_shown(port, authority, signed)
        for file in files:
            file.unlink()

        async with running_gateway(settings):
            await until_shown(port, authority, signed)

            await until(lambda: scheduler.status.why, "the missing file to be said")


async def test_the_gateway_speaks_tls_to_instances_and_shows_its_own_certificate(
    gateway: Harness, authority: Authority, tmp_path: Path
) -> None:
    instance, own = authority.signed("127.0.0.1"), authority.signed("gateway")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cadata=authority.pem)
    context.verify_mode = ssl.CERT_REQUIRED
    file = tmp_path / "instance.pem"
    file.write_text(instance.certificate + instance.key)
    context.load_cert_chain(file)
    seen: list[int] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        seen.append(_serial(writer))
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    async with server:
        await gateway.serve(service("svc", server.sockets[0].getsockname()[1]))

        await gateway.configure(
            upstream_ca=authority.pem, upstream_certificate=own.certificate, upstream_key=own.key
        )

        async def answered() -> bool:
            asked = await gateway.http.get(f"{gateway.url}/api/predict/svc", headers=bearer())
            return asked.status_code == 200

        await until(answered, "the instance to answer over TLS")
    assert set(seen) == {own.serial}
