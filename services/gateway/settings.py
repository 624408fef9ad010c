"""What an operator can set for a gateway."""

from datetime import timedelta
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from libs.domain.errors import InvalidRequest


class Settings(BaseSettings):
    """What an operator can set for a gateway, as EASEL_GATEWAY_* variables."""

    # A refusal shows no input: the token is among it.
    model_config = SettingsConfigDict(
        env_prefix="EASEL_GATEWAY_", frozen=True, populate_by_name=True, hide_input_in_errors=True
    )

    name: str = "gateway"
    scheduler: str = "127.0.0.1:8801"
    join_token: str = ""
    join_token_file: Path | None = None
    # Where Envoy listens for clients, and the domain under which each service has a host name.
    listen: str = "127.0.0.1:8800"
    domain: str = "easel.local"
    # Where clients reach the gateway when that is not the address it listens on.
    public_url: str = ""
    data_dir: Path = Path("easel-data/gateway")
    # Whether this process runs an Envoy of its own.
    envoy: bool = True
    envoy_concurrency: int = 0
    # "host:port" or "unix:/path"; empty means a unix socket inside data_dir.
    xds_listen: str = ""
    # "127.0.0.1:port" or "unix:/path"; empty means a unix socket inside data_dir.
    envoy_admin: str = ""
    # One variable for every service.
    otlp_endpoint: str = Field(default="", validation_alias="EASEL_OTLP_ENDPOINT")
    access_log: Path | None = None
    drain_for: timedelta = timedelta(seconds=10)

    @model_validator(mode="after")
    def _addresses_name_a_host_and_a_port(self) -> Self:
        host_and_port(self.listen, "listen")
        for name in ("xds_listen", "envoy_admin"):
            value: str = getattr(self, name)
            if value and not value.startswith("unix:"):
                host_and_port(value, name)
        if self.envoy_concurrency < 0:
            raise ValueError("envoy_concurrency must be 0 (one worker a core) or more")
        return self

    def token(self) -> str:
        """The join token: given outright, or read from its file. Empty when there is neither."""
        if self.join_token or self.join_token_file is None:
            return self.join_token
        return self.join_token_file.read_text().strip()

    def domains(self) -> tuple[str, ...]:
        """The domain alone, and with each port that clients may write behind it."""
        ports = [host_and_port(self.listen, "listen")[1], urlsplit(self.public_url).port]
        return (self.domain, *dict.fromkeys(f"{self.domain}:{port}" for port in ports if port))


def host_and_port(address: str, name: str) -> tuple[str, int]:
    """Splits "host:port". Raises InvalidRequest, naming the setting, when it is something else."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65535:
        raise InvalidRequest(name, address, "host:port with a port from 0 to 65535")
    return host.strip("[]"), int(port)
