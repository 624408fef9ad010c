"""Where the requirements of a container are, and what its programs and their installer are told: pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from services.agent.workload import Workload

PLACE = "/easel/venv"
TRUST = "/easel/trust.pem"
_USUAL_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# Of the agent's environment: how packages are reached. Directories of the host are not in a container.
_HANDED_ON = (
    "INDEX_URL",
    "EXTRA_INDEX_URL",
    "TRUSTED_HOST",
    "NO_INDEX",
    "DEFAULT_TIMEOUT",
    "RETRIES",
    "PROXY",
)
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY")


@dataclass(frozen=True)
class Installed:
    """The volume with the packages of an instance, and what its image has in its environment."""

    volume: str
    image_env: Mapping[str, str]


def installer_environment(
    agent: Mapping[str, str], workload: Workload, trusting: bool = False
) -> dict[str, str]:
    """How the installer reaches packages: as the agent does, and before that as service.json says."""
    names = {f"PIP_{name}" for name in _HANDED_ON} | set(_PROXIES) | {name.lower() for name in _PROXIES}
    own = {name: value for name, value in agent.items() if name in names}
    trust = {"PIP_CERT": TRUST} if trusting else {}
    return {**own, **trust, **asked_of(workload), "PLACE": PLACE}


def with_requirements(env: Mapping[str, str], installed: Installed) -> dict[str, str]:
    """The environment of an instance, with the programs and packages of its requirements in front."""
    path = env.get("PATH") or installed.image_env.get("PATH") or _USUAL_PATH
    packages = env.get("PYTHONPATH") or installed.image_env.get("PYTHONPATH", "")
    return {
        **env,
        "VIRTUAL_ENV": PLACE,
        "PATH": f"{PLACE}/bin:{path}",
        "PYTHONPATH": ":".join(part for part in (packages, f"{PLACE}/site") if part),
    }


def mount_of(volume: str, read_only: bool) -> dict[str, Any]:
    """The mount of the packages."""
    return {
        "Type": "volume",
        "Source": volume,
        "Target": PLACE,
        "ReadOnly": read_only,
        "VolumeOptions": {"NoCopy": True},
    }


def wanted_of(workload: Workload) -> list[str]:
    """What the installer is asked for."""
    file = ["-r", workload.requirements_path] if workload.requirements_path else []
    return [*workload.requirements, *file]


def asked_of(workload: Workload) -> dict[str, str]:
    """What service.json says of how packages are reached."""
    proxies = {*_PROXIES, *(name.lower() for name in _PROXIES)}
    return {name: value for name, value in workload.env if name.startswith("PIP_") or name in proxies}
