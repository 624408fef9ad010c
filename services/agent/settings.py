"""What an operator can set for an agent."""

import os
import socket
import sys
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from libs.domain.states import Runtime
from libs.rpc.token_file import token_of
from services.agent.mounts import HostDirectories
from services.agent.stalling import Patience
from services.agent.storage.node_storage import StorageSettings

# What programs find in their environment of what the agent was started with.
_HANDED_ON = ("PATH", "HOME", "USER", "LANG", "LC_ALL", "TZ", "SSL_CERT_FILE", "LD_LIBRARY_PATH")
_HANDED_ON_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")


def _seconds(value: object) -> object:
    """A plain number in a variable means seconds."""
    with suppress(TypeError, ValueError):
        return float(value) if isinstance(value, str) else value
    return value


Duration = Annotated[timedelta, BeforeValidator(_seconds)]


class Settings(BaseSettings):
    """What an operator can set for an agent, as EASEL_AGENT_* variables."""

    # A refusal shows no input: the token is among it.
    model_config = SettingsConfigDict(
        env_prefix="EASEL_AGENT_", frozen=True, populate_by_name=True, hide_input_in_errors=True
    )

    scheduler: str = "127.0.0.1:8801"
    join_token: SecretStr = SecretStr("")
    join_token_file: Path | None = None
    node: str = Field(
        default_factory=socket.gethostname, min_length=1, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$"
    )
    resource_group: str = ""
    runtime: Runtime = Runtime.PROCESS
    data_dir: Path = Path(".easel/agent")
    # Under which gateways reach the instances of this node.
    address: str = "127.0.0.1"
    zone: str = ""
    labels: dict[str, str] = Field(default_factory=dict)
    # Bucket name to the directory of this host that stands for it.
    buckets: dict[str, Path] = Field(default_factory=dict)
    # Below these directories of this host, instances may ask for any by its path.
    host_roots: tuple[Path, ...] = ()
    # Where the files of object stores and repositories are kept for all instances; in `data_dir` if empty.
    cache_dir: Path | None = None
    # By the size of its disk where not set; 0 for no bound.
    cache_max_gib: float | None = Field(default=None, ge=0)
    # How often what instances wrote into mounts of object stores is written back.
    write_back_every: Duration = timedelta(seconds=30)
    first_port: int = Field(default=20000, ge=1, le=65535)
    last_port: int = Field(default=29999, ge=1, le=65535)
    # Where the host's versions of CUDA lie, each in a directory cuda-X.Y.
    cuda_root: Path = Path("/usr/local")
    # Kept for the system; by the size of the node where not set.
    reserved_cpu_milli: int | None = Field(default=None, ge=0)
    reserved_memory_mib: int | None = Field(default=None, ge=0)
    heartbeat_every: Duration = timedelta(seconds=2)
    # With no word from the scheduler after a start, what was wanted last is kept up after this long.
    act_alone_after: Duration = timedelta(seconds=5)
    # Without a sign of life for so long, a pull, a preparation or a start is given up and tried again.
    pull_stalled_after: Duration = Field(default=timedelta(minutes=10), gt=timedelta(0))
    prepare_stalled_after: Duration = Field(default=timedelta(minutes=10), gt=timedelta(0))
    start_stalled_after: Duration = Field(default=timedelta(minutes=10), gt=timedelta(0))
    python: str = Field(default_factory=lambda: getattr(sys, "_base_executable", sys.executable))
    log_bytes: int = Field(default=16 << 20, ge=1 << 16)
    # A control group (version 2) delegated to the agent, in which no process runs.
    control_group: Path | None = None
    docker_host: str = ""
    # The address of this host on which container ports are published; empty: beside `address`.
    publish: str = ""
    # Containers join this network and are reached by their own addresses; nothing is published then.
    docker_network: str = ""
    stop_instances_on_exit: bool = False
    # While this file is there, the node is about to be taken away; it says when and why.
    reclaim_file: Path | None = None
    # Of the metrics service; nothing is measured without it.
    metrics: str = ""
    # Where instances post their own metrics: found out where not set.
    metrics_host: str = ""
    metrics_port: int = Field(default=0, ge=0, le=65535)
    # One variable for every service.
    otlp_endpoint: str = Field(default="", validation_alias="EASEL_OTLP_ENDPOINT")
    log_level: str = "INFO"

    @model_validator(mode="after")
    def _ports_are_a_range(self) -> Self:
        if self.first_port > self.last_port:
            raise ValueError("first_port must not be above last_port")
        return self

    @model_validator(mode="after")
    def _roots_are_absolute(self) -> Self:
        for root in self.host_roots:
            if not root.is_absolute():
                raise ValueError(f"host_roots must be absolute paths, got {str(root)!r}")
        return self

    @model_validator(mode="after")
    def _one_token(self) -> Self:
        if self.join_token.get_secret_value() and self.join_token_file is not None:
            raise ValueError("set join_token or join_token_file, not both")
        return self

    def directories(self) -> HostDirectories:
        """The directories of this host that mounts may be made of."""
        own = self.data_dir.absolute() / "mounts"
        return HostDirectories(self.buckets, self.host_roots, own, self.cuda_root)

    def storage(self) -> StorageSettings:
        """Where the files of object stores and repositories are kept."""
        return StorageSettings(
            own=self.directories().own,
            cache=(self.cache_dir or self.data_dir / "cache").absolute(),
            max_gib=self.cache_max_gib,
            write_back_every=self.write_back_every,
            environment=own_environment(),
        )

    def token(self) -> str:
        """The join token; read again at each use, so that a new one can be put in its file."""
        return token_of(self.join_token.get_secret_value(), self.join_token_file)

    def patience(self) -> Patience:
        return Patience(self.pull_stalled_after, self.prepare_stalled_after, self.start_stalled_after)

    def published_on(self) -> str:
        """Loopback where gateways come over loopback, every address of the host where they do not."""
        return self.publish or ("127.0.0.1" if self.address in ("127.0.0.1", "localhost") else "0.0.0.0")


def own_environment() -> Mapping[str, str]:
    """What the agent was started with, for the tools it runs and never for instances.

    Without Easel's own settings: what is installed runs its authors' code, and the join token is not theirs.
    """
    return {name: value for name, value in os.environ.items() if not name.startswith("EASEL_")}


def handed_on() -> Mapping[str, str]:
    """The part of the agent's environment that instances of the process runtime find."""
    proxies = {*_HANDED_ON_PROXIES, *(name.lower() for name in _HANDED_ON_PROXIES)}
    return {name: value for name, value in os.environ.items() if name in _HANDED_ON or name in proxies}
