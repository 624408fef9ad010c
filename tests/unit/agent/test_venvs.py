"""Virtual environments that instances share."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from services.agent.runtime.port import PrepareFailed
from services.agent.runtime.venvs import Venvs
from services.agent.settings import Settings, own_environment
from tests.contract.agent.test_preparation import put_wheel


@pytest.fixture
def venvs(tmp_path: Path) -> Venvs:
    return Venvs(tmp_path / "venvs", Settings().python, own_environment(), timedelta(minutes=1))


@pytest.fixture
def requirements(tmp_path: Path) -> Path:
    put_wheel(tmp_path)
    return tmp_path / "requirements.txt"


async def test_the_same_requirements_are_installed_once(venvs: Venvs, requirements: Path) -> None:
    told: list[str] = []

    first, second = await asyncio.gather(
        venvs.ensure((), requirements, told.append), venvs.ensure((), requirements, told.append)
    )

    assert first == second
    assert told == [f"installing -r {requirements}"]


async def test_requirements_that_changed_get_an_environment_of_their_own(
    venvs: Venvs, requirements: Path
) -> None:
    first = await venvs.ensure((), requirements, _silent)
    put_wheel(requirements.parent, wanted="easel-greeting==1.0")

    assert await venvs.ensure((), requirements, _silent) != first


async def test_a_build_that_broke_off_is_begun_again(venvs: Venvs, requirements: Path) -> None:
    venv = await venvs.ensure((), requirements, _silent)
    (venv / ".complete").unlink()
    (venv / "bin" / "python").unlink()

    assert await venvs.ensure((), requirements, _silent) == venv
    assert (venv / "bin" / "python").exists()


async def test_an_installer_that_does_not_end_is_stopped(tmp_path: Path, requirements: Path) -> None:
    venvs = Venvs(tmp_path / "venvs", Settings().python, own_environment(), timedelta(0))

    with pytest.raises(PrepareFailed, match="did not end within"):
        await venvs.ensure((), requirements, _silent)


def _silent(text: str) -> None:
    """Nobody is told."""
