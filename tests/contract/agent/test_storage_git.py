"""Repositories, made by the test and served over HTTP by git's own program."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from libs.domain.causes import Cause
from services.agent.runtime.port import PrepareFailed
from services.agent.storage.sources import GitSource
from tests.support.free_ports import free_port
from tests.support.git_server import GitServer
from tests.support.storage_stage import Node

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="the tool git is not on this machine")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GitServer]:
    directory = tmp_path / "served"
    directory.mkdir()
    with GitServer(directory).running() as server:
        yield server


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    node = Node(tmp_path, settings={"environment": {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}})
    yield node
    node.storage.close()


async def refused(node: Node, source: GitSource) -> PrepareFailed:
    with pytest.raises(PrepareFailed) as caught:
        await node.ensure("i-1", source)
    return caught.value


async def test_the_newest_commit_of_a_branch_is_mounted(server: GitServer, node: Node) -> None:
    server.commit(app__py="print(1)")
    server.commit(app__py="print(2)")

    place = await node.ensure("i-1", GitSource(server.url, "main"))

    assert [(path.name, path.read_text()) for path in place.iterdir()] == [("app.py", "print(2)")]


async def test_an_instance_that_starts_later_has_a_later_commit_and_the_first_keeps_its_own(
    server: GitServer, node: Node
) -> None:
    server.commit(app__py="print(1)")
    first = await node.ensure("i-1", GitSource(server.url, "main"))
    server.commit(app__py="print(2)")

    second = await node.ensure("i-2", GitSource(server.url, "main"))

    assert [(place / "app.py").read_text() for place in (first, second)] == ["print(1)", "print(2)"]


@pytest.mark.parametrize("length", [40, 8])
async def test_a_commit_is_mounted_as_it_was(server: GitServer, node: Node, length: int) -> None:
    old = server.commit(app__py="print(1)")
    server.commit(app__py="print(2)")
    await node.ensure("i-1", GitSource(server.url, "main"))

    place = await node.ensure("i-2", GitSource(server.url, "main", old[:length]))

    assert (place / "app.py").read_text() == "print(1)"


async def test_a_commit_that_is_known_is_not_asked_for_again(server: GitServer, node: Node) -> None:
    commit = server.commit(app__py="print(1)")
    first = await node.ensure("i-1", GitSource(server.url, "main", commit))
    asked = len(server.asked)

    second = await node.ensure("i-2", GitSource(server.url, "main", commit))

    assert len(server.asked) == asked
    assert first.resolve() == second.resolve()


async def test_a_repository_opens_with_its_user_and_password_which_are_nowhere_on_the_disk(
    server: GitServer, node: Node
) -> None:
    server.commit(app__py="print(1)")
    server.login = ("ada", "s3cret-word")

    place = await node.ensure("i-1", GitSource(server.url, "main", "", "ada", "s3cret-word"))

    assert (place / "app.py").read_text() == "print(1)"
    files = (path for path in node.directory.rglob("*") if path.is_file())
    assert not [path for path in files if b"s3cret-word" in path.read_bytes()]


async def test_a_login_in_the_address_is_used_and_kept_out_of_sight(server: GitServer, node: Node) -> None:
    server.commit(app__py="print(1)")
    server.login = ("ada", "s3cret word")
    address = server.url.replace("http://", "http://ada:s3cret%20word@")

    await node.ensure("i-1", GitSource(address, "main"))
    server.login = ("ada", "another")
    why = await refused(node, GitSource(address, "main"))

    assert why.cause is Cause.STORAGE_ACCESS_DENIED
    assert "s3cret" not in str(why)


async def test_a_corrupted_checkout_is_noticed(server: GitServer, node: Node) -> None:
    server.commit(app__py="print(1)")
    place = await node.ensure("i-1", GitSource(server.url, "main"))
    (place / "app.py").chmod(0o600)
    (place / "app.py").write_text("print(666)")

    place = await node.ensure("i-2", GitSource(server.url, "main"))

    assert (place / "app.py").read_text() == "print(1)"


async def test_locks_of_a_git_that_was_killed_hold_nobody_up(server: GitServer, node: Node) -> None:
    server.commit(app__py="print(1)")
    await node.ensure("i-1", GitSource(server.url, "main"))
    server.commit(app__py="print(2)")
    (repository,) = (node.directory / "cache" / "repositories").iterdir()
    (repository / "shallow.lock").write_text("")
    node.restart()

    place = await node.ensure("i-2", GitSource(server.url, "main"))

    assert (place / "app.py").read_text() == "print(2)"


async def test_a_branch_that_is_not_there_is_said(server: GitServer, node: Node) -> None:
    server.commit(app__py="print(1)")

    why = await refused(node, GitSource(server.url, "missing"))

    assert why.cause is Cause.STORAGE_NOT_FOUND
    assert "refs/heads/missing" in str(why)


async def test_a_commit_that_is_not_there_is_said(server: GitServer, node: Node) -> None:
    server.commit(app__py="print(1)")

    why = await refused(node, GitSource(server.url, "main", "f" * 40))

    assert why.cause is Cause.STORAGE_NOT_FOUND


async def test_a_wrong_password_is_said_without_it(server: GitServer, node: Node) -> None:
    server.commit(app__py="print(1)")
    server.login = ("ada", "right")

    why = await refused(node, GitSource(server.url, "main", "", "ada", "wrong-word"))

    assert why.cause is Cause.STORAGE_ACCESS_DENIED
    assert "wrong-word" not in str(why)


async def test_a_server_that_is_away_is_said(node: Node) -> None:
    why = await refused(node, GitSource(f"http://127.0.0.1:{free_port()}/app.git", "main"))

    assert why.cause is Cause.STORAGE_UNREACHABLE


async def test_a_node_without_git_says_so(tmp_path: Path, server: GitServer) -> None:
    node = Node(tmp_path, settings={"environment": {"PATH": str(tmp_path)}})

    why = await refused(node, GitSource(server.url, "main"))

    node.storage.close()
    assert "this node has no git" in str(why)


async def test_a_login_is_for_the_host_it_was_given_for_wherever_that_sends_git(
    server: GitServer, node: Node, tmp_path: Path
) -> None:
    elsewhere = GitServer(tmp_path / "elsewhere", login=("nobody", "knows"))
    elsewhere.directory.mkdir()

    with elsewhere.running():
        server.moved_to = f"http://127.0.0.1:{elsewhere.port}"
        why = await refused(node, GitSource(server.url, "main", "", "ada", "s3cret-word"))

    assert why.cause is Cause.STORAGE_ACCESS_DENIED
    assert (bool(elsewhere.asked), elsewhere.given) == (True, [])


@pytest.mark.parametrize("branch", ["-b", "--upload-pack=touch evil", "a b", "a:b", "../main"])
async def test_a_branch_is_a_name_and_never_an_option(server: GitServer, node: Node, branch: str) -> None:
    server.commit(app__py="print(1)")

    await refused(node, GitSource(server.url, branch))

    assert not list(node.directory.rglob("evil"))
