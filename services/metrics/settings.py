"""What an operator can set for metrics."""

from pathlib import Path
from typing import Self

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from libs.rpc.addresses import check_address, host_and_port
from libs.rpc.token_file import token_of


class Settings(BaseSettings):
    """What an operator can set for metrics, as EASEL_METRICS_* variables."""

    # A refusal shows no input: the token is among it.
    model_config = SettingsConfigDict(env_prefix="EASEL_METRICS_", frozen=True, hide_input_in_errors=True)

    name: str = "metrics"
    # "host:port" or "unix:/path", several of them with commas between: where the other parts report and ask.
    listen: str = "127.0.0.1:8803"
    # Where Prometheus finds /metrics; empty serves none.
    http_listen: str = "127.0.0.1:8804"
    scheduler: str = "127.0.0.1:8801"
    join_token: str = ""
    join_token_file: Path | None = None
    # Where totals and the history are kept over restarts.
    data_dir: Path = Path("easel-data/metrics")
    # For how many days services are known by the minute; 0 keeps no more than the last hour, in memory.
    history_days: float = Field(default=1.0, ge=0, le=31)
    log_level: str = "INFO"

    @model_validator(mode="after")
    def _addresses_name_a_host_and_a_port(self) -> Self:
        if not self.addresses:
            raise ValueError(f"listen: got {self.listen!r}, expected host:port or unix:/path")
        for address in self.addresses:
            check_address(address, "listen")
        if self.http_listen:
            host_and_port(self.http_listen, "http_listen")
        return self

    @property
    def addresses(self) -> tuple[str, ...]:
        """What `listen` names."""
        return tuple(each.strip() for each in self.listen.split(",") if each.strip())

    def token(self) -> str:
        """The join token: given outright, or read from its file. Empty when there is neither."""
        return token_of(self.join_token, self.join_token_file)
