"""Images pulled by a real engine from a registry of the test's own."""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from libs.domain.causes import Cause
from services.agent.runtime.docker_engine import Engine
from services.agent.runtime.docker_pull import ALWAYS, NEVER, ImagePulls
from services.agent.runtime.port import PullFailed
from tests.support.free_ports import free_port
from tests.support.registry import Registry, registry
from tests.support.waiting import until

pytestmark = pytest.mark.docker

LOGIN = ("reader", "let-me-in")


@dataclass
class Heard:
    """What a pull said of itself."""

    words: list[tuple[str, int, int]] = field(default_factory=list)

    def __call__(self, what: str, done: int, total: int) -> None:
        self.words.append((what, done, total))


@pytest.fixture
async def pulls() -> AsyncIterator[ImagePulls]:
    engine = Engine("")
    yield ImagePulls(engine)
    engine.close()


def an_image(serves: Registry, size: int = 1000, tag: str = "1") -> str:
    """One that no other test has on the engine."""
    return serves.put(f"easel/t{secrets.token_hex(4)}", tag, {"weights": secrets.token_bytes(size)})


@contextlib.asynccontextmanager
async def removed(*images: str) -> AsyncIterator[None]:
    """Leaves nothing of these on the engine."""
    engine = Engine("")
    try:
        yield
    finally:
        for image in images:
            repository = image.rpartition(":")[0]
            for found in await engine.ask(lambda api, name=repository: api.images(name=name)):
                await engine.ask(lambda api, key=found["Id"]: api.remove_image(key, force=True))
        engine.close()


async def test_the_right_login_gets_an_image_of_a_private_registry(pulls: ImagePulls) -> None:
    with registry(LOGIN) as serves:
        image, heard = an_image(serves, size=1 << 20), Heard()
        async with removed(image):
            await pulls.ensure(image, LOGIN, heard)

            assert await pulls.present(image)
            assert heard.words[0] == (f"image {image}", 0, 0)


@pytest.mark.parametrize("login", [None, ("reader", "guess")])
async def test_a_login_that_the_registry_does_not_accept_is_access_denied(
    pulls: ImagePulls, login: tuple[str, str] | None
) -> None:
    with registry(LOGIN) as serves:
        image = an_image(serves)

        with pytest.raises(PullFailed, match=f"{image} could not be pulled: .+") as refused:
            await pulls.ensure(image, login, Heard())

    assert refused.value.cause is Cause.IMAGE_ACCESS_DENIED
    assert "guess" not in str(refused.value)


async def test_a_tag_that_the_registry_does_not_have_is_not_found(pulls: ImagePulls) -> None:
    with registry() as serves:
        missing = an_image(serves).replace(":1", ":2")

        with pytest.raises(PullFailed) as refused:
            await pulls.ensure(serves.image("easel/nothing", "1"), None, Heard())

    assert refused.value.cause is Cause.IMAGE_NOT_FOUND
    assert "manifest unknown" in str(refused.value), missing


async def test_a_registry_that_is_away_is_unreachable(pulls: ImagePulls) -> None:
    with pytest.raises(PullFailed, match="connection refused") as refused:
        await pulls.ensure(f"127.0.0.1:{free_port()}/easel/any:1", None, Heard())

    assert refused.value.cause is Cause.REGISTRY_UNREACHABLE


async def test_progress_is_told_in_bytes_of_all_layers(pulls: ImagePulls) -> None:
    with registry() as serves:
        image, heard = an_image(serves, size=4 << 20), Heard()
        async with removed(image):
            serves.hold()
            pulling = asyncio.create_task(pulls.ensure(image, None, heard))

            await until(lambda: any(done for _, done, _ in heard.words), "bytes to come")

            what, done, total = heard.words[-1]
            assert what == f"image {image}"
            assert 0 < done < (4 << 20) <= total
            serves.release()
            await pulling


async def test_whoever_wants_the_same_image_shares_one_pull(pulls: ImagePulls) -> None:
    with registry() as serves:
        image = an_image(serves)
        async with removed(image):
            await asyncio.gather(*(pulls.ensure(image, None, Heard()) for _ in range(4)))

        assert serves.layers_served == 1


async def test_one_that_stops_waiting_ends_the_pull_for_nobody_else(pulls: ImagePulls) -> None:
    with registry() as serves:
        image, first, second = an_image(serves, size=1 << 20), Heard(), Heard()
        async with removed(image):
            serves.hold()
            leaves = asyncio.create_task(pulls.ensure(image, None, first))
            stays = asyncio.create_task(pulls.ensure(image, None, second))
            await until(lambda: serves.layers_served, "the pull to begin")

            leaves.cancel()
            serves.release()

            await stays
            assert await pulls.present(image)


async def test_a_pull_that_nobody_waits_for_is_ended(pulls: ImagePulls) -> None:
    with registry() as serves:
        image = an_image(serves, size=1 << 20)
        async with removed(image):
            serves.hold()
            leaves = asyncio.create_task(pulls.ensure(image, None, Heard()))
            await until(lambda: serves.layers_served, "the pull to begin")
            leaves.cancel()
            await asyncio.wait([leaves])

            serves.release()

            # The next one begins anew, and is not told of the end of the first.
            await pulls.ensure(image, None, Heard())
            assert await pulls.present(image)


async def test_always_asks_the_registry_also_for_an_image_that_is_there(pulls: ImagePulls) -> None:
    with registry() as serves:
        image = an_image(serves)
        async with removed(image):
            await pulls.ensure(image, None, Heard())
            newer = serves.put(image.split("/", 1)[1].removesuffix(":1"), "1", {"weights": b"newer"})
            assert newer == image
            before = serves.layers_served

            await pulls.ensure(image, None, Heard())
            assert serves.layers_served == before
            await pulls.ensure(image, None, Heard(), ALWAYS)
            assert serves.layers_served == before + 1


async def test_never_takes_only_what_is_there(pulls: ImagePulls) -> None:
    with registry() as serves:
        image = an_image(serves)

        with pytest.raises(PullFailed, match=r"and .*image_pull_policy is Never") as refused:
            await pulls.ensure(image, None, Heard(), NEVER)

    assert refused.value.cause is Cause.IMAGE_NOT_FOUND
    assert serves.layers_served == 0
