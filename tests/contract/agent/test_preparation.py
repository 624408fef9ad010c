"""Python requirements, installed before the program starts."""

import zipfile
from pathlib import Path

import pytest

from services.agent.mounts import Mount, MountKind
from services.agent.runtime.port import PrepareFailed, PullFailed
from tests.support.runtime_stage import Stage

METADATA = "Metadata-Version: 2.1\nName: easel-greeting\nVersion: 1.0\n"
WHEEL = "Wheel-Version: 1.0\nGenerator: easel\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
PROGRAMS = "[console_scripts]\neasel-greet = easel_greeting:greet\n"
SCRIPT = "python3 -c 'import easel_greeting; print(easel_greeting.WORD)'"


def put_wheel(directory: Path, wanted: str = "easel-greeting") -> None:
    """A package to install, and a requirements file that finds it without a network."""
    with zipfile.ZipFile(directory / "easel_greeting-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("easel_greeting.py", "WORD = 'installed'\n\n\ndef greet():\n    print('greetings')\n")
        wheel.writestr("easel_greeting-1.0.dist-info/entry_points.txt", PROGRAMS)
        wheel.writestr("easel_greeting-1.0.dist-info/METADATA", METADATA)
        wheel.writestr("easel_greeting-1.0.dist-info/WHEEL", WHEEL)
        wheel.writestr("easel_greeting-1.0.dist-info/RECORD", "")
    (directory / "requirements.txt").write_text(f"--no-index\n--find-links .\n{wanted}\n")


async def test_requirements_of_a_mounted_file_are_there_when_the_script_starts(
    stage: Stage, bucket: Path
) -> None:
    put_wheel(bucket)
    workload = stage.a_workload(
        script=SCRIPT,
        requirements_path="/mnt/data/requirements.txt",
        mounts=(Mount("/mnt/data", MountKind.BIND, str(bucket), read_only=True),),
        memory_mib=512,
    )
    await stage.start(workload)
    await stage.ended(workload)

    assert (await stage.log(workload)).endswith("installed\n")


async def test_programs_that_requirements_bring_are_found(stage: Stage, bucket: Path) -> None:
    put_wheel(bucket)
    workload = stage.a_workload(
        script="easel-greet",
        requirements_path="/mnt/data/requirements.txt",
        mounts=(Mount("/mnt/data", MountKind.BIND, str(bucket), read_only=True),),
    )
    await stage.start(workload)
    await stage.ended(workload)

    assert await stage.log(workload) == "greetings\n"


async def test_requirements_that_cannot_be_installed_say_what_the_installer_said(
    stage: Stage, bucket: Path
) -> None:
    put_wheel(bucket, wanted="easel-missing")
    workload = stage.a_workload(
        script=SCRIPT,
        requirements_path="/mnt/data/requirements.txt",
        mounts=(Mount("/mnt/data", MountKind.BIND, str(bucket), read_only=True),),
        memory_mib=512,
    )

    try:
        await stage.start(workload)
        running = await stage.ended(workload)
        why = running.exit.why if running.exit else ""
    except PrepareFailed as refused:
        why = str(refused)

    assert why.startswith("the requirements could not be installed: ")
    assert "easel-missing" in why


async def test_a_requirements_file_that_is_not_there_is_named(stage: Stage) -> None:
    workload = stage.a_workload(script=SCRIPT, requirements_path="/mnt/easel-nowhere/requirements.txt")

    try:
        await stage.start(workload)
        running = await stage.ended(workload)
        why = running.exit.why if running.exit else ""
    except PrepareFailed as refused:
        why = str(refused)

    assert "/mnt/easel-nowhere/requirements.txt" in why


@pytest.mark.docker
async def test_an_image_that_cannot_be_had_says_what_the_registry_said(docker_stage: Stage) -> None:
    workload = docker_stage.a_workload(image="127.0.0.1:1/nothing/here:1")

    with pytest.raises(PullFailed, match=r"127\.0\.0\.1:1/nothing/here:1 could not be pulled: .+"):
        await docker_stage.start(workload)
