"""Virtual environments that instances share."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from libs.domain.states import InstanceState
from services.agent.runtime.venvs import Venvs
from services.agent.settings import Settings, own_environment
from tests.contract.agent.test_preparation import put_wheel
from tests.support.runtime_stage import Silent


@pytest.fixture
def venvs(tmp_path: Path) -> Venvs:
    return Venvs(tmp_path / "venvs", Settings().python, own_environment())


@pytest.fixture
def requirements(tmp_path: Path) -> Path:
    put_wheel(tmp_path)
    return tmp_path / "requirements.txt"


async def test_the_same_requirements_are_installed_once(venvs: Venvs, requirements: Path) -> None:
    heard = Heard()

    first, second = await asyncio.gather(
        venvs.ensure((), requirements, heard), venvs.ensure((), requirements, heard)
    )

    assert first == second
    assert heard.phases == [(InstanceState.PREPARING, f"installing -r {requirements}")]


async def test_requirements_that_changed_get_an_environment_of_their_own(
    venvs: Venvs, requirements: Path
) -> None:
    first = await venvs.ensure((), requirements, Silent())
    put_wheel(requirements.parent, wanted="easel-greeting==1.0")

    assert await venvs.ensure((), requirements, Silent()) != first


async def test_a_build_that_broke_off_is_begun_again(venvs: Venvs, requirements: Path) -> None:
    venv = await venvs.ensure((), requirements, Silent())
    (venv / ".complete").unlink()
    (venv / "bin" / "python").unlink()

    assert await venvs.ensure((), requirements, Silent()) == venv
    assert (venv / "bin" / "python").exists()


async def test_an_environment_goes_when_no_instance_used_it_for_long(
    tmp_path: Path, requirements: Path
) -> None:
    venvs = Venvs(tmp_path / "v", Settings().python, own_environment(), timedelta(0))
    used = await venvs.ensure((), requirements, Silent())
    put_wheel(tmp_path, wanted="easel-greeting==1.0")
    unused = await venvs.ensure((), requirements, Silent())

    await venvs.tidy([used])

    assert used.exists()
    assert not unused.exists()


async def test_an_environment_is_kept_for_a_while_after_its_last_use(
    venvs: Venvs, requirements: Path
) -> None:
    venv = await venvs.ensure((), requirements, Silent())

    await venvs.tidy([])

    assert venv.exists()


class Heard(Silent):
    """Remembers the phases."""

    def __init__(self) -> None:
        self.phases: list[tuple[InstanceState, str]] = []

    def __call__(self, state: InstanceState, why: str) -> None:
        self.phases.append((state, why))
