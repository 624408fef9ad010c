"""What an operator can set for the autoscaler."""

from datetime import timedelta
from pathlib import Path
from typing import Self

from pydantic import model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from libs.rpc.addresses import check_address
from libs.rpc.token_file import token_of


class Settings(BaseSettings):
    """What an operator can set for the autoscaler, as EASEL_AUTOSCALER_* variables."""

    # A refusal shows no input: tokens are among it.
    model_config = SettingsConfigDict(env_prefix="EASEL_AUTOSCALER_", frozen=True, hide_input_in_errors=True)

    name: str = "autoscaler"
    scheduler: str = "127.0.0.1:8801"
    metrics: str = "127.0.0.1:8803"
    # Decisions are changes of services, and take an admin token; a join token opens the numbers.
    admin_token: str = ""
    admin_token_file: Path | None = None
    join_token: str = ""
    join_token_file: Path | None = None
    # "host:port" or "unix:/path": where replays are answered.
    listen: str = "127.0.0.1:8805"
    # Numbers come once a second, and with them every service is looked at; without them, so often.
    look_every: timedelta = timedelta(seconds=1.5)
    log_level: str = "INFO"

    @model_validator(mode="after")
    def _it_listens_at_a_host_and_a_port(self) -> Self:
        check_address(self.listen, "listen")
        return self

    @model_validator(mode="after")
    def _looks_leave_no_gap(self) -> Self:
        if not timedelta(0) < self.look_every <= timedelta(seconds=5):
            raise ValueError("look_every must be more than 0 and at most 5 seconds")
        return self

    def tokens(self) -> tuple[str, str]:
        """The admin token and the join token: given outright, or read from their files; else empty."""
        return (
            token_of(self.admin_token, self.admin_token_file),
            token_of(self.join_token, self.join_token_file),
        )
