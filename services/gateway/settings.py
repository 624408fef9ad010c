"""What an operator can set for a gateway."""

from datetime import timedelta
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from libs.domain.traffic import SHARED_GATEWAY
from libs.rpc.addresses import check_address, host_and_port
from libs.rpc.token_file import token_of


class Settings(BaseSettings):
    """What an operator can set for a gateway, as EASEL_GATEWAY_* variables."""

    # A refusal shows no input: the token is among it.
    model_config = SettingsConfigDict(
        env_prefix="EASEL_GATEWAY_", frozen=True, populate_by_name=True, hide_input_in_errors=True
    )

    name: str = SHARED_GATEWAY
    scheduler: str = "127.0.0.1:8801"
    join_token: str = ""
    join_token_file: Path | None = None
    # Where Envoy listens for clients, and the domain under which each service has a host name.
    listen: str = "127.0.0.1:8800"
    domain: str = "easel.local"
    # Where clients reach the gateway when that is not the address it listens on.
    public_url: str = ""
    # The node whose instances this gateway serves to clients that connect directly; empty for any other
    # gateway. Its own address for them, "host:port"; empty means that of `public_url`, or else of `listen`.
    node: str = ""
    direct_address: str = ""
    data_dir: Path = Path("easel-data/gateway")
    # Whether this process runs an Envoy of its own.
    envoy: bool = True
    envoy_concurrency: int = 0
    # "host:port" or "unix:/path"; empty means a unix socket inside data_dir.
    xds_listen: str = ""
    # Where Envoys find what the gateway answers by itself: "host:port" for Envoys elsewhere, which must be an
    # address that they can reach; empty means a unix socket inside data_dir.
    front_listen: str = ""
    # "127.0.0.1:port" or "unix:/path"; empty means a unix socket inside data_dir.
    envoy_admin: str = ""
    # Where Envoy sends what it counts, each second: "host:port" or "unix:/path" of the metrics service; empty
    # is nowhere.
    metrics: str = ""
    # One variable for every service.
    otlp_endpoint: str = Field(default="", validation_alias="EASEL_OTLP_ENDPOINT")
    # How many of a hundred requests get a span, where their client has not decided.
    trace_percent: float = Field(default=100.0, ge=0, le=100)
    access_log: Path | None = None
    # Whether it runs further gateways beside its own, as the scheduler says.
    hosting: bool = True
    # The longest body of a request; 0 for any. Unset: 1 MiB on the gateway named "gateway", any on others.
    # What is set for the gateway with `easel gateway` goes before.
    body_limit_bytes: int | None = None
    # Until a request must be there as a whole, unless its answer has begun; zero for no bound.
    request_within: timedelta = timedelta(hours=1)
    # What its Envoy may take at most; 0 is half of the machine's memory, and of the files it may open.
    max_heap_mib: int = 0
    max_connections: int = 0
    drain_for: timedelta = timedelta(seconds=10)

    @model_validator(mode="after")
    def _addresses_name_a_host_and_a_port(self) -> Self:
        host_and_port(self.listen, "listen")
        for name in ("xds_listen", "envoy_admin", "front_listen", "metrics"):
            value: str = getattr(self, name)
            if value:
                check_address(value, name)
        if self.direct_address:
            host_and_port(self.direct_address, "direct_address")
        if self.front_listen.startswith(("0.0.0.0:", "[::]:")):
            raise ValueError("front_listen must be an address at which Envoys reach this gateway, not all")
        if self.node and self.name == SHARED_GATEWAY:
            raise ValueError("name must be one of its own for the gateway of a node, such as node-1")
        if self.node and host_and_port(self.direct(), "listen")[0] in ("0.0.0.0", "::"):
            raise ValueError("direct_address must say at which address of the node clients reach its gateway")
        if self.envoy_concurrency < 0:
            raise ValueError("envoy_concurrency must be 0 (one worker a core) or more")
        for name in ("body_limit_bytes", "max_heap_mib", "max_connections"):
            if (getattr(self, name) or 0) < 0:
                raise ValueError(f"{name} must be 0 or more")
        return self

    @property
    def hosts(self) -> bool:
        """Whether it runs further gateways; that of a node serves its node alone."""
        return self.hosting and self.envoy and not self.node

    def token(self) -> str:
        """The join token: given outright, or read from its file. Empty when there is neither."""
        return token_of(self.join_token, self.join_token_file)

    def direct(self) -> str:
        """Where clients that connect directly reach this gateway, as "host:port"."""
        return self.direct_address or "{}:{}".format(*self._public())

    def own_addresses(self) -> frozenset[tuple[str, int]]:
        """Every address by which others may know this gateway."""
        return frozenset({host_and_port(self.direct(), "direct_address"), self._public()})

    def _public(self) -> tuple[str, int]:
        parts = urlsplit(self.public_url or f"http://{self.listen}")
        return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
